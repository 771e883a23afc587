"""Weakly supervised training: bags, losses, networks, the loop."""
