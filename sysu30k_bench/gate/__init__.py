"""The gate: whether a run is worse than its baseline, in full and on a part of the gallery."""
