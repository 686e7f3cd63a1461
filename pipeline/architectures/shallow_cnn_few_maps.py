"""What too few feature maps cost."""

from pipeline.architectures._blocks import two_convolutions
from pipeline.networks.backend import keras


def shallow_cnn_few_maps() -> keras.Model:
    """`shallow_cnn` with a quarter of its feature maps; 105,194 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. The feature maps are
    14×14×8 and 7×7×16 after pooling, the filters 5×5. Source and deviations are those of
    `shallow_cnn`.
    """
    return two_convolutions(name="shallow_cnn_few_maps", filters=(8, 16))
