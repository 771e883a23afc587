"""A data set as people look at it: counts, pictures, verification."""
