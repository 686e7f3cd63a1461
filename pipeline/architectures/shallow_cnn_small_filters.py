"""What smaller filters cost."""

from pipeline.architectures._blocks import two_convolutions
from pipeline.networks.backend import keras


def shallow_cnn_small_filters() -> keras.Model:
    """`shallow_cnn` with filters of 3×3; 421,642 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. The feature maps are
    14×14×32 and 7×7×64 after pooling, the filters 3×3. Source and deviations are those of
    `shallow_cnn`.
    """
    return two_convolutions(name="shallow_cnn_small_filters", kernel_size=3)
