"""The training set of SYSU-30k: images in bags, identities of bags alone."""
