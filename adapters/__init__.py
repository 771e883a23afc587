"""Adapter cards: data, not code. See docs/adapters.md."""
