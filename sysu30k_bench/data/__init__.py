"""Who is in which image: the splits of every data set, and the reading of their images."""
