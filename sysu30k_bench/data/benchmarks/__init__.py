"""One file a benchmark: its layout, its names, its protocol."""
