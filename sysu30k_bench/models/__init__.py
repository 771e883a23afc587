"""From an adapter card and a checkpoint to a network that turns images into embeddings."""
