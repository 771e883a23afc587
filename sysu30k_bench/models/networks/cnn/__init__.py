"""Convolutional networks of person re-identification that are no ResNets, and small ones for phones."""
