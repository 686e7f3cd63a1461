"""The embedded sample: scikit-learn's 1,797 small real digits, brought to MNIST's form.

Source of the images: E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits", UCI
Machine Learning Repository (1998), 8×8 with 17 grey levels, as `sklearn.datasets.load_digits`
carries them. MNIST's form (LeCun et al., "Gradient-based learning applied to document
recognition", 1998): the ink's box scaled into 20×20 with its aspect ratio kept, its centre of mass
at the centre of 28×28.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from pipeline.data import tables
from pipeline.data.dataset import IMAGE_SIZE, Images, Labels

_BOX_SIZE = 20
_SOURCE_LEVELS = 16
_TEST_IMAGES = 360


def write_tables(folder: Path) -> None:
    """Write the sample as ``train.csv`` (1,437 rows) and ``test.csv`` (360)."""
    bunch = load_digits()
    images: Images = np.stack([_enlarge(image) for image in bunch.images])
    labels: Labels = bunch.target.astype(np.uint8)
    train, test = train_test_split(
        np.arange(len(labels)), test_size=_TEST_IMAGES, stratify=labels, random_state=0
    )
    tables.write(folder / "train.csv", images[train], labels[train])
    tables.write(folder / "test.csv", images[test])


def _enlarge(small: np.ndarray) -> Images:
    """One 8×8 image with levels 0–16 to uint8 28×28 with levels 0–255."""
    inked = small > 0
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    box = small[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = _BOX_SIZE / max(box.shape)
    height, width = (max(1, round(side * scale)) for side in box.shape)
    ink = Image.fromarray((box * (255 / _SOURCE_LEVELS)).round().astype(np.uint8))
    scaled = np.asarray(ink.resize((width, height), Image.Resampling.BICUBIC))
    centre_y, centre_x = ndimage.center_of_mass(scaled)
    middle = (IMAGE_SIZE - 1) / 2
    top = int(np.clip(round(middle - centre_y), 0, IMAGE_SIZE - height))
    left = int(np.clip(round(middle - centre_x), 0, IMAGE_SIZE - width))
    canvas = np.zeros((IMAGE_SIZE, IMAGE_SIZE), dtype=np.uint8)
    canvas[top : top + height, left : left + width] = scaled
    return canvas
