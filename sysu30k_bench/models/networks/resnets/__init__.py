"""Residual networks of all kinds: their depth, widths and special layers are read off a checkpoint's tensors."""
