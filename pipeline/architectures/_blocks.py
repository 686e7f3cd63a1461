"""What several architectures begin with, end with or consist of.

A change here retrains every network; what a single architecture needs belongs into its own file.
"""

from pipeline.data.dataset import IMAGE_SIZE, NUM_CLASSES
from pipeline.networks.backend import keras

layers = keras.layers


def image_input() -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input, uint8 images ``(n, 28, 28)``, and the same as float32 in [0, 1].

    Returns:
        The input, and its pixels ``(n, 28, 28, 1)``.
    """
    images = keras.Input((IMAGE_SIZE, IMAGE_SIZE), dtype="uint8", name="images")
    x = layers.Reshape((IMAGE_SIZE, IMAGE_SIZE, 1), name="channel")(images)
    return images, layers.Rescaling(1 / 255, name="rescaling")(x)


def convolve(
    x: keras.KerasTensor, filters: int, *, size: int, pool: bool, name: str
) -> keras.KerasTensor:
    """Convolve, pool to half the size if asked, normalise and rectify.

    Pooling comes before normalising and rectifying, so that these work on a quarter of the values
    (the order of tuomaso/train_mnist_fast).

    Args:
        x: feature maps ``(n, height, width, k)``.
        filters: how many feature maps to make.
        size: height and width of the filters, in pixels.
        pool: whether to pool.
        name: what the names of the layers begin with.
    """
    x = layers.Conv2D(
        filters,
        size,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    if pool:
        x = layers.MaxPooling2D(name=f"{name}_pool")(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def classifier(images: keras.KerasTensor, x: keras.KerasTensor, *, name: str) -> keras.Model:
    """The model called ``name`` from ``images`` to logits ``(n, 10)`` of features ``(n, k)``."""
    return keras.Model(images, layers.Dense(NUM_CLASSES, name="logits")(x), name=name)


def two_convolutions(
    *, name: str, filters: tuple[int, int] = (32, 64), kernel_size: int = 5
) -> keras.Model:
    """Two padded convolutions, each pooled to half the size, and a dense layer of 128.

    The feature maps are 14×14 and 7×7 after pooling.

    Args:
        name: of the model.
        filters: feature maps of the first and of the second convolution.
        kernel_size: height and width of the filters of both, in pixels.
    """
    images, x = image_input()
    for index, maps in enumerate(filters, start=1):
        x = layers.Conv2D(
            maps, kernel_size, padding="same", activation="relu", name=f"block{index}_conv"
        )(x)
        x = layers.MaxPooling2D(name=f"block{index}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    x = layers.Dropout(0.5, name="dense_dropout")(x)
    return classifier(images, x, name=name)
