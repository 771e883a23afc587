"""Rows of the leaderboard: data, not code."""
