"""What a row, its evidence and a change to the board are held to."""
