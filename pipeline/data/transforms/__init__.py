"""What images may go through before a network sees them: a file and a line for each.

Each transform takes uint8 images ``(n, 28, 28)`` and gives as many, and treats every image by
itself. A change of its file trains the networks again that use it, and no others.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pipeline.data.dataset import Images
from pipeline.data.transforms.deskew import deskew
from pipeline.data.transforms.normalize_stroke import normalize_stroke
from pipeline.data.transforms.normalize_width import normalize_width

TRANSFORMS: Mapping[str, Callable[[Images], Images]] = MappingProxyType(
    {
        "deskew": deskew,
        "normalize_stroke": normalize_stroke,
        "normalize_width": normalize_width,
    }
)
"""By the name that params.yaml gives it, which is also that of its module."""
