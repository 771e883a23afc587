"""Embeddings made elsewhere: features files of every kind."""
