"""The second step: stores of embeddings to exact ranks."""
