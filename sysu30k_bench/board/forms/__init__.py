"""Rows and boards as other sites and tools read them."""
