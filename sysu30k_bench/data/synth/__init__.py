"""A synthetic twin of the SYSU-30k test set: pedestrians drawn by the program, in exactly its layout."""
