"""Hostile input: every reader of the package, in a guarded process, on mutated and crafted files."""
