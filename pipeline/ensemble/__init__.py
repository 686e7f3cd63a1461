"""What several networks, and the nearest training images, say together. No Keras."""
