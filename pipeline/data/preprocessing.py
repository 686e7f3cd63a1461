"""The views of an image: what its transforms make of it, in training and ever after.

A view is what a sequence of transforms makes of an image; an empty sequence leaves it as it is. A
network may know several views: it is trained on all, and its predictions from several are averaged.
Its views are recorded with it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

import numpy as np

from pipeline.data.dataset import Images
from pipeline.data.transforms import TRANSFORMS

_BATCH = 500

Views = Sequence[Sequence[str]]
"""For each view, names among `TRANSFORMS` in their order."""


def preprocess(images: Images, view: Iterable[str]) -> Images:
    """Apply the transforms of ``view``, one after another, to uint8 images ``(n, 28, 28)``."""
    for name in view:
        batches = [
            TRANSFORMS[name](images[start : start + _BATCH])
            for start in range(0, len(images), _BATCH)
        ]
        images = np.concatenate(batches) if batches else images
    return images


def are_views(record: Any) -> TypeGuard[list[list[str]]]:
    """Whether ``record``, read from JSON, lists views that can be made of an image."""
    match record:
        case [_, *_]:
            return all(
                isinstance(view, list) and all(name in list(TRANSFORMS) for name in view)
                for view in record
            )
    return False
