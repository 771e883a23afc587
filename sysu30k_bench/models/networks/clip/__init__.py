"""Vision towers of CLIP and of the person re-identification projects that start from it."""
