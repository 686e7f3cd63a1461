"""The networks, by name. Each is a function from hyperparameters to an uncompiled Keras model.

All take uint8 images ``(n, 28, 28)``, rescale inside, and return float32 logits ``(n, 10)``. They
use portable Keras only: compiling, augmentation and seeds live in `training`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from pipeline.architectures.deep_cnn import deep_cnn
from pipeline.backend import keras
from pipeline.errors import ParamsError


class Architecture(Protocol):
    """Builds an uncompiled model with fresh weights."""

    def __call__(self) -> keras.Model: ...


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "deep_cnn": deep_cnn,
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
