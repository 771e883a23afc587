"""What is minimised: each term as the authors released it and as their paper has it."""
