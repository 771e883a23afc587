"""Plain vision transformers, as re-ID and self-supervised projects write them."""
