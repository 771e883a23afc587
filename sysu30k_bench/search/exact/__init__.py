"""Exact decisions over coarse scores: blocks, counts and top-k, and what a search saves to resume."""
