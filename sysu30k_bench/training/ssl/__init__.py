"""Self-supervised methods by the parts of the library lightly, on the engine of `train`."""
