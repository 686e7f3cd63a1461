"""`simple_cnn` with batch normalisation and dropout after every hidden layer."""

from pipeline.architectures._blocks import classifier, image_input
from pipeline.networks.backend import keras

layers = keras.layers


def regularized_cnn() -> keras.Model:
    """The third network of the "MNIST Digit Recognizer" project; 225,930 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. The feature maps are 13×13×32 and
    5×5×64 after pooling; batch normalisation follows every nonlinearity.

    Deviations from the source: pixels are divided by 255 inside the model; the softmax is left to
    the loss; batch statistics move with momentum 0.9, not 0.99, as those of short epochs would lag
    behind the weights.
    """
    images, x = image_input()
    for index, filters in enumerate((32, 64), start=1):
        x = layers.Conv2D(filters, 3, activation="relu", name=f"block{index}_conv")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"block{index}_bn")(x)
        x = layers.MaxPooling2D(name=f"block{index}_pool")(x)
        x = layers.Dropout(0.25, name=f"block{index}_dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    x = layers.BatchNormalization(momentum=0.9, name="dense_bn")(x)
    x = layers.Dropout(0.5, name="dense_dropout")(x)
    return classifier(images, x, name="regularized_cnn")
