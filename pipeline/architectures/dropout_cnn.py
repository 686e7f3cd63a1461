"""Two convolutions before a single pooling, and two dropouts."""

from pipeline.architectures._blocks import classifier, image_input
from pipeline.networks.backend import keras

layers = keras.layers


def dropout_cnn() -> keras.Model:
    """The "Handwritten-Digit-Classification-MNIST" project's network; 1,199,882 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. The feature maps are 26×26×32, then
    24×24×64, and 12×12×64 after pooling.

    Deviations from the source: pixels are divided by 255 inside the model; the softmax is left to
    the loss.
    """
    images, x = image_input()
    x = layers.Conv2D(32, 3, activation="relu", name="conv1")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Dropout(0.25, name="pool_dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    x = layers.Dropout(0.5, name="dense_dropout")(x)
    return classifier(images, x, name="dropout_cnn")
