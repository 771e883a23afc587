"""Embeddings on the disk: sharded HDF5 that is written whole, checked when read, and resumed by running again."""
