"""What is checked now and then, and takes longer than a test may."""
