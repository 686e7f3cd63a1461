"""Two convolutions with large filters, whose variations show what each choice is worth."""

from pipeline.architectures._blocks import two_convolutions
from pipeline.networks.backend import keras


def shallow_cnn() -> keras.Model:
    """The shallow network of "CNN Classifying Images with Handwritten Digits"; 454,922 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. The feature maps are 14×14×32 and
    7×7×64 after pooling, the filters 5×5.

    Deviations from the source, an analysis in TensorFlow 1: it publishes no layer sizes, so they
    are ours; so is the dropout before the output.
    """
    return two_convolutions(name="shallow_cnn")
