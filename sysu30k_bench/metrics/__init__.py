"""From ranks to numbers: cumulative matching, average precision under each of its names, and their intervals."""
