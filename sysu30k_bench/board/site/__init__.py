"""The static site of a board: pages that need no server."""
