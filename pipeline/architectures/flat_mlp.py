"""A deep network without convolutions, each layer half as wide as the one before."""

from pipeline.architectures._blocks import classifier, image_input
from pipeline.networks.backend import keras

layers = keras.layers


def flat_mlp() -> keras.Model:
    """The flat network of the "mnist-digit-classification" project; 577,178 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)`` over six hidden layers of 512 to 16.

    Deviations from the source: pixels are divided by 255 inside the model; what turns the outputs
    into probabilities is left to the loss.
    """
    images, x = image_input()
    x = layers.Flatten(name="flatten")(x)
    for index, units in enumerate((512, 256, 128, 64, 32, 16), start=1):
        x = layers.Dense(units, activation="relu", name=f"dense{index}")(x)
    return classifier(images, x, name="flat_mlp")
