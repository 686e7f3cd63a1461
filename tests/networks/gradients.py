"""What TensorFlow keeps of each gradient that it traced."""


def registered_gradients() -> set[str]:
    """The names under which TensorFlow knows gradients."""
    from tensorflow.python.framework.ops import gradient_registry  # after the package's own import

    return set(gradient_registry.list())
