"""What more feature maps gain."""

from pipeline.architectures._blocks import two_convolutions
from pipeline.networks.backend import keras


def shallow_cnn_many_maps() -> keras.Model:
    """`shallow_cnn` with twice its feature maps; 1,010,826 parameters.

    uint8 images ``(n, 28, 28)`` to float32 logits ``(n, 10)``. The feature maps are
    14×14×64 and 7×7×128 after pooling, the filters 5×5. Source and deviations are those of
    `shallow_cnn`.
    """
    return two_convolutions(name="shallow_cnn_many_maps", filters=(64, 128))
