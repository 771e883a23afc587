"""The leaderboard's rows."""
