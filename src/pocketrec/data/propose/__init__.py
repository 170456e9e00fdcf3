"""A schema for an unknown file: how it is written, which log it is, what its columns probably are."""
