"""Exact ranks and top-k of every query over a stream of gallery embeddings."""
