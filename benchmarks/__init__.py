"""What measures speed, memory and accuracy on the real data."""
