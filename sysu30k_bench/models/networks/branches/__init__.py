"""Residual networks that are read out in parts, branches or with attention."""
