"""The first step: a checkpoint and images, or a features file, to stores of embeddings."""
