"""One file for each command of `leaderboard`."""
