"""Residual blocks on few maps, and global average pooling instead of dense layers."""

from pipeline.architectures._blocks import classifier, convolve, image_input
from pipeline.networks.backend import keras

layers = keras.layers


def residual_cnn() -> keras.Model:
    """Three residual blocks after a pooled convolution; 304,602 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. On the middle 24×24 pixels, the
    feature maps are 12×12×16, then 12×12×32, 6×6×64 and 3×3×128 behind the blocks. The logits see
    the mean of each of the last maps (Lin et al. 2014, arXiv:1312.4400), so that the network has no
    dense layer to overfit with, and its probabilities have a lower log loss than those of
    `deep_pooled_cnn`.
    """
    images, x = image_input()
    x = layers.Cropping2D(2, name="cropping")(x)
    x = convolve(x, 16, size=5, pool=True, name="block1")
    x = layers.Dropout(0.1, name="block1_dropout")(x)
    for index, (filters, pool) in enumerate(((32, False), (64, True), (128, True)), start=2):
        x = _residual_block(x, filters, pool=pool, name=f"block{index}")
        x = layers.Dropout(0.1, name=f"block{index}_dropout")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return classifier(images, x, name="residual_cnn")


def _residual_block(
    x: keras.KerasTensor, filters: int, *, pool: bool, name: str
) -> keras.KerasTensor:
    """Two convolutions, and around them a shortcut that makes as many maps (He et al. 2016).

    Source: arXiv:1512.03385. As in `convolve`, pooling comes before normalising.
    """
    inner = convolve(x, filters, size=3, pool=pool, name=f"{name}_1")
    inner = _convolution(inner, filters, size=3, name=f"{name}_2_conv")
    inner = layers.BatchNormalization(momentum=0.9, name=f"{name}_2_bn")(inner)
    shortcut = layers.MaxPooling2D(name=f"{name}_shortcut_pool")(x) if pool else x
    shortcut = _convolution(shortcut, filters, size=1, name=f"{name}_shortcut_conv")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([inner, shortcut]))


def _convolution(x: keras.KerasTensor, filters: int, *, size: int, name: str) -> keras.KerasTensor:
    return layers.Conv2D(
        filters, size, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
