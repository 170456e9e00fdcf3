"""pocketrec: the best recommender that fits into a number of bytes."""
