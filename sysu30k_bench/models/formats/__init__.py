"""Checkpoint files of every kind, read without running, importing or building anything that they name."""
