"""Two convolutions without any regularisation."""

from pipeline.architectures._blocks import classifier, image_input
from pipeline.networks.backend import keras

layers = keras.layers


def simple_cnn() -> keras.Model:
    """The second network of the "MNIST Digit Recognizer" project; 225,034 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. The feature maps are 13×13×32 and
    5×5×64 after pooling.

    Deviations from the source: pixels are divided by 255 inside the model; the softmax is left to
    the loss.
    """
    images, x = image_input()
    for index, filters in enumerate((32, 64), start=1):
        x = layers.Conv2D(filters, 3, activation="relu", name=f"block{index}_conv")(x)
        x = layers.MaxPooling2D(name=f"block{index}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    return classifier(images, x, name="simple_cnn")
