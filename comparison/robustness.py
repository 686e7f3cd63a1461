"""What a network by our recipe, in plain view, reads of shifted and of turned digits.

The author of `dropout_cnn` says that dense networks fail when a digit is not where it was in
training. Each held-out image is moved once per distance. The directions take turns, so that every
accuracy is an average over them, of as many images as the fold has.
"""

import numpy as np
from scipy import ndimage

from comparison.runs import Run
from comparison.settings import Robustness
from comparison.table import Movement
from pipeline.data.dataset import IMAGE_SIZE, Images, Labels
from pipeline.ensemble.averaging import Network, predict_probabilities

DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Up, down, left, right, as steps along the rows and along the columns."""


def measure(
    run: Run, network: Network, images: Images, labels: Labels, amounts: Robustness
) -> list[Movement]:
    """The accuracy of a network on the images of its fold, moved by each of the amounts.

    Args:
        run: whose network it is.
        network: trained.
        images: uint8 ``(n, 28, 28)``.
        labels: uint8 ``(n,)``.
        amounts: pixels and degrees.
    """
    moved = {
        **{("shift", float(pixels)): shift(images, pixels) for pixels in amounts.shift_pixels},
        **{("rotation", angle): rotate(images, angle) for angle in amounts.rotation_degrees},
    }
    return [
        Movement(
            network=run.network,
            fold=run.fold,
            seed=run.seed,
            moved=kind,
            amount=amount,
            accuracy=float((predict_probabilities(network, shown).argmax(axis=1) == labels).mean()),
        )
        for (kind, amount), shown in moved.items()
    ]


def shift(images: Images, pixels: int) -> Images:
    """Move images ``(n, 28, 28)`` by ``pixels``, each in the next of the directions."""
    padded = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels)))
    shifted = np.empty_like(images)
    for index, (down, right) in enumerate(DIRECTIONS):
        top, left = pixels - down * pixels, pixels - right * pixels
        part = slice(index, None, len(DIRECTIONS))
        shifted[part] = padded[part, top : top + IMAGE_SIZE, left : left + IMAGE_SIZE]
    return shifted


def rotate(images: Images, degrees: float) -> Images:
    """Turn images ``(n, 28, 28)`` about their centre, left and right in turns, bilinearly."""
    turned = np.empty_like(images)
    for index, angle in enumerate((degrees, -degrees)):
        part = slice(index, None, 2)
        pixels = ndimage.rotate(
            images[part].astype(np.float32), angle, axes=(2, 1), reshape=False, order=1
        )
        turned[part] = np.rint(pixels).astype(np.uint8)
    return turned
