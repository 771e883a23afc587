"""What runs a network: torch as it is, or a library that makes something faster of it."""
