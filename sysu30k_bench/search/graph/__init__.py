"""The neighbour graph of a test set, and re-ranking by it."""
