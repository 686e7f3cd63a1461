"""The reference: three convolutional blocks and one wide dense layer."""

from pipeline.data.dataset import IMAGE_SIZE, NUM_CLASSES
from pipeline.networks.backend import keras

layers = keras.layers


def deep_cnn() -> keras.Model:
    """The three-block network of the "digit-recognizer" project; 138,410 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. The feature maps of the
    blocks are 12×12×32, 5×5×64 and 1×1×128 after pooling.

    Deviations from the source: pixels are divided by 255 inside the model; the softmax is left to
    the loss, so that the output is logits; batch statistics move with momentum 0.9, not 0.99, as
    those of short epochs would lag behind the weights.
    """
    images = keras.Input((IMAGE_SIZE, IMAGE_SIZE), dtype="uint8", name="images")
    x = layers.Reshape((IMAGE_SIZE, IMAGE_SIZE, 1), name="channel")(images)
    x = layers.Rescaling(1 / 255, name="rescaling")(x)
    x = _block(x, filters=32, num_convolutions=2, dropout=0.2, name="block1")
    x = _block(x, filters=64, num_convolutions=1, dropout=0.2, name="block2")
    x = _block(x, filters=128, num_convolutions=1, dropout=0.0, name="block3")
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(256, activation="relu", name="dense")(x)
    x = layers.Dropout(0.5, name="dense_dropout")(x)
    logits = layers.Dense(NUM_CLASSES, name="logits")(x)
    return keras.Model(images, logits, name="deep_cnn")


def _block(
    x: keras.KerasTensor, *, filters: int, num_convolutions: int, dropout: float, name: str
) -> keras.KerasTensor:
    for index in range(1, num_convolutions + 1):
        x = layers.Conv2D(filters, 3, activation="relu", name=f"{name}_conv{index}")(x)
    x = layers.MaxPooling2D(name=f"{name}_pool")(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x
