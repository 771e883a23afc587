"""From the tensors of a file to the card and the structure that they fill."""
