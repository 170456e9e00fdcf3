"""One method per file, found by the file's name. No method imports another."""
