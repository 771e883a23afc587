"""Engines of coarse scores: FAISS and torch, on CPU and GPU, and the choice among them."""
