"""Audits of a row: committed embeddings, confirmations, Merkle roots."""
