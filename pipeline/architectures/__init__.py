"""The networks, by name. Each is a function that builds an uncompiled Keras model.

All take uint8 images ``(n, 28, 28)``, rescale inside, and return float32 logits ``(n, 10)``. They
use portable Keras only: compiling, augmentation and seeds live in `training`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from pipeline.architectures.conv4_normalized import conv4_normalized
from pipeline.architectures.deep_cnn import deep_cnn
from pipeline.architectures.deep_pooled_cnn import deep_pooled_cnn
from pipeline.architectures.dense_baseline import dense_baseline
from pipeline.architectures.dropout_cnn import dropout_cnn
from pipeline.architectures.flat_mlp import flat_mlp
from pipeline.architectures.pooled_cnn import pooled_cnn
from pipeline.architectures.regularized_cnn import regularized_cnn
from pipeline.architectures.residual_cnn import residual_cnn
from pipeline.architectures.shallow_cnn import shallow_cnn
from pipeline.architectures.shallow_cnn_few_maps import shallow_cnn_few_maps
from pipeline.architectures.shallow_cnn_large_filters import shallow_cnn_large_filters
from pipeline.architectures.shallow_cnn_many_maps import shallow_cnn_many_maps
from pipeline.architectures.shallow_cnn_small_filters import shallow_cnn_small_filters
from pipeline.architectures.simple_cnn import simple_cnn
from pipeline.errors import ParamsError
from pipeline.networks.backend import keras


class Architecture(Protocol):
    """Builds an uncompiled model with fresh weights."""

    def __call__(self) -> keras.Model: ...


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "deep_pooled_cnn": deep_pooled_cnn,
        "residual_cnn": residual_cnn,
        "pooled_cnn": pooled_cnn,
        "deep_cnn": deep_cnn,
        "dense_baseline": dense_baseline,
        "simple_cnn": simple_cnn,
        "regularized_cnn": regularized_cnn,
        "conv4_normalized": conv4_normalized,
        "flat_mlp": flat_mlp,
        "shallow_cnn": shallow_cnn,
        "shallow_cnn_few_maps": shallow_cnn_few_maps,
        "shallow_cnn_many_maps": shallow_cnn_many_maps,
        "shallow_cnn_small_filters": shallow_cnn_small_filters,
        "shallow_cnn_large_filters": shallow_cnn_large_filters,
        "dropout_cnn": dropout_cnn,
    }
)


def build(name: str) -> keras.Model:
    """Build the architecture called ``name``, its weights drawn from Keras's global seed.

    Raises:
        ParamsError: there is none of that name.
    """
    if name not in ARCHITECTURES:
        raise ParamsError(
            f"There is no architecture {name!r}; known: {', '.join(sorted(ARCHITECTURES))}."
        )
    return ARCHITECTURES[name]()
