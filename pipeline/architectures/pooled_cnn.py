"""The default: three convolutional blocks that pool before they normalise."""

from pipeline.backend import keras
from pipeline.digits import IMAGE_SIZE, NUM_CLASSES

layers = keras.layers


def pooled_cnn() -> keras.Model:
    """Three blocks on the middle 24×24 pixels, made for two CPU cores; PARAMS parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. The feature maps of the blocks are
    12×12×32, 6×6×64 and 3×3×128 after pooling. Each block pools what its last convolution gives
    before normalising and rectifying it, so that these work on a quarter of the values (the order
    of tuomaso/train_mnist_fast). The competition's digits fill a 20×20 box about their centre of
    mass; the two outer pixels of each side hold next to nothing.
    """
    images = keras.Input((IMAGE_SIZE, IMAGE_SIZE), dtype="uint8", name="images")
    x = layers.Reshape((IMAGE_SIZE, IMAGE_SIZE, 1), name="channel")(images)
    x = layers.Rescaling(1 / 255, name="rescaling")(x)
    x = layers.Cropping2D(2, name="cropping")(x)
    x = _block(x, filters=32, kernel_sizes=[5], name="block1")
    x = _block(x, filters=64, kernel_sizes=[3, 3], name="block2")
    x = _block(x, filters=128, kernel_sizes=[3, 3], name="block3")
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, name="dropout")(x)
    logits = layers.Dense(NUM_CLASSES, name="logits")(x)
    return keras.Model(images, logits, name="pooled_cnn")


def _block(
    x: keras.KerasTensor, *, filters: int, kernel_sizes: list[int], name: str
) -> keras.KerasTensor:
    for index, size in enumerate(kernel_sizes, start=1):
        x = layers.Conv2D(
            filters,
            size,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"{name}_conv{index}",
        )(x)
        if index == len(kernel_sizes):
            x = layers.MaxPooling2D(name=f"{name}_pool")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn{index}")(x)
        x = layers.ReLU(name=f"{name}_relu{index}")(x)
    return x
