"""Many runs: found below folders, put into one table for each list, and laid out as a page."""
