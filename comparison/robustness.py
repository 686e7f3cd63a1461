"""Accuracy of one architecture's networks, by our recipe, on shifted and on turned digits.

The author of `dropout_cnn` says that dense networks fail when a digit is not where it was in
training. Each held-out image is moved once per distance. The directions take turns, so that every
accuracy is an average over them, of as many images as the fold has.
"""

import argparse
import sys
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from comparison import settings
from comparison.settings import ROBUSTNESS, RUNS, Settings
from pipeline import stages
from pipeline.data import dataset
from pipeline.data.dataset import IMAGE_SIZE, Images
from pipeline.ensemble.averaging import predict_probabilities
from pipeline.errors import exit_status
from pipeline.files import atomic_path
from pipeline.networks.trained import load_network

DIRECTIONS = ((-1, 0), (1, 0), (0, -1), (0, 1))
"""Up, down, left, right, as steps along the rows and along the columns."""


def main() -> None:
    """Entry point of the stage."""
    chosen = settings.load()
    parser = argparse.ArgumentParser(prog="python -m comparison.robustness", description=__doc__)
    parser.add_argument("architecture", choices=chosen.robustness.architectures)
    architecture = parser.parse_args().architecture
    table = measure(architecture, chosen)
    with atomic_path(ROBUSTNESS / f"{architecture}.csv") as temporary:
        table.to_csv(temporary, index=False)


def measure(architecture: str, chosen: Settings) -> pd.DataFrame:
    """One row per seed, kind of movement and distance.

    Returns:
        Columns architecture, seed, moved (shift or rotation), amount (pixels or degrees),
        accuracy, and images, the number evaluated.
    """
    data = dataset.load_training(stages.TRAIN)
    held_out = data.folds == chosen.fold
    images, labels = data.images[held_out], data.labels[held_out]
    amounts = chosen.robustness
    moved = {
        **{("shift", float(pixels)): shift(images, pixels) for pixels in amounts.shift_pixels},
        **{("rotation", angle): rotate(images, angle) for angle in amounts.rotation_degrees},
    }
    rows: list[dict[str, Any]] = []
    for seed in chosen.seeds:
        network = load_network(RUNS / architecture / f"ours-{seed}")
        for (kind, amount), shown in moved.items():
            predicted = predict_probabilities(network, shown).argmax(axis=1)
            rows.append(
                {
                    "architecture": architecture,
                    "seed": seed,
                    "moved": kind,
                    "amount": amount,
                    "accuracy": float((predicted == labels).mean()),
                    "images": len(labels),
                }
            )
        print(f"{architecture}-ours-{seed}: {len(moved)} movements", flush=True)
    return pd.DataFrame(rows)


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


if __name__ == "__main__":
    sys.exit(exit_status(main))
