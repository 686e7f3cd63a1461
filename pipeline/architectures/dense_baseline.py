"""What a network without convolutions reaches: one dense layer."""

from pipeline.architectures._blocks import classifier, image_input
from pipeline.networks.backend import keras

layers = keras.layers


def dense_baseline() -> keras.Model:
    """The first network of the "MNIST Digit Recognizer" project; 101,770 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)`` over one hidden layer of 128.

    Deviations from the source: pixels are divided by 255 inside the model; the softmax is left to
    the loss.
    """
    images, x = image_input()
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    return classifier(images, x, name="dense_baseline")
