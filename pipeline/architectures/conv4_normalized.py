"""Four convolutions on a padded image, and activations scaled by their largest."""

from pipeline.architectures._blocks import classifier, image_input
from pipeline.networks.backend import keras

layers = keras.layers


def conv4_normalized() -> keras.Model:
    """The convolutional network of the "mnist-digit-classification" project; 383,626 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. The image is padded to 32×32; the
    feature maps are 14×14, 7×7, 4×4 and 2×2 after pooling, 32 of each. What the second dense layer
    gives is divided by its largest magnitude; as it comes out of a ReLU, it then lies in [0, 1].

    Deviations from the source: pixels are divided by 255 inside the model. Each image is normalised
    by its own largest activation; the source divides by the largest of the whole batch, so that a
    prediction depends on its neighbours. The source ends in ten sigmoids, each the probability that
    the image is this digit, whatever the others say. Ours gives their logits, which are trained
    with softmax cross-entropy like those of every other architecture: the probabilities are the
    softmax's, exclude one another and sum to 1. Sigmoid and softmax order the digits alike.
    """
    images, x = image_input()
    x = layers.ZeroPadding2D(2, name="padding")(x)
    for index in range(1, 5):
        padding = "valid" if index == 1 else "same"
        x = layers.Conv2D(32, 4, padding=padding, activation="relu", name=f"block{index}_conv")(x)
        x = layers.MaxPooling2D(padding=padding, name=f"block{index}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(512, activation="relu", name="dense1")(x)
    x = layers.Dense(512, activation="relu", name="dense2")(x)
    largest = keras.ops.max(x, axis=-1, keepdims=True)
    x = x / keras.ops.maximum(largest, keras.config.epsilon())
    return classifier(images, x, name="conv4_normalized")
