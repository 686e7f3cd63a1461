"""The default: three convolutional blocks that pool before they normalise."""

from pipeline.architectures._blocks import classifier, image_input
from pipeline.backend import keras

layers = keras.layers


def pooled_cnn() -> keras.Model:
    """Three blocks on the middle 24×24 pixels, made for two CPU cores; 290,474 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. The feature maps of the blocks are
    12×12×32, 6×6×64 and 3×3×128 after pooling. Each block pools what its last convolution gives
    before normalising and rectifying it, so that these work on a quarter of the values (the order
    of tuomaso/train_mnist_fast). The competition's digits fill a 20×20 box about their centre of
    mass; the two outer pixels of each side hold next to nothing.
    """
    images, x = image_input()
    x = layers.Cropping2D(2, name="cropping")(x)
    x = _block(x, filters=32, kernel_sizes=[5], name="block1")
    x = _block(x, filters=64, kernel_sizes=[3, 3], name="block2")
    x = _block(x, filters=128, kernel_sizes=[3, 3], name="block3")
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, name="dropout")(x)
    return classifier(images, x, name="pooled_cnn")


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
