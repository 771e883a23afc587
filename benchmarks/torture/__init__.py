"""Attacks the tool: kills, signals, failing system calls, lost folders and damaged files (`make torture`)."""
