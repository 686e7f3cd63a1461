"""Digits that people draw or photograph themselves: found, brought to MNIST's form, read."""
