"""One file for each command of `data`."""
