"""What out-of-fold predictions tell. No Keras."""
