"""Trials of an installation and of adapter cards."""
