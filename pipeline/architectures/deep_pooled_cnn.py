"""The default: three blocks, five convolutions in all, pooled before they normalise."""

from pipeline.architectures._blocks import classifier, convolve, image_input
from pipeline.networks.backend import keras

layers = keras.layers


def deep_pooled_cnn() -> keras.Model:
    """`pooled_cnn` with a second convolution in the last two blocks; 576,682 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. On the middle 24×24 pixels, the
    feature maps of the blocks are 12×12×32, 6×6×64 and 3×3×128. A block pools what its first
    convolution gives before normalising and rectifying it; those of 64 and 128 maps convolve once
    more, on the pooled maps, where that costs least.
    """
    images, x = image_input()
    x = layers.Cropping2D(2, name="cropping")(x)
    x = convolve(x, 32, size=5, pool=True, name="block1_1")
    x = layers.Dropout(0.1, name="block1_dropout")(x)
    for index, filters in enumerate((64, 128), start=2):
        x = convolve(x, filters, size=3, pool=True, name=f"block{index}_1")
        x = convolve(x, filters, size=3, pool=False, name=f"block{index}_2")
        x = layers.Dropout(0.1, name=f"block{index}_dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(256, activation="relu", name="dense")(x)
    x = layers.Dropout(0.5, name="dense_dropout")(x)
    return classifier(images, x, name="deep_pooled_cnn")
