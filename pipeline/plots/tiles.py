"""Digits in rows, each under its caption."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from pipeline.data.dataset import Images, Labels, Probabilities
from pipeline.plots.canvas import CORRECT, house_style, saved
from pipeline.wording import counted

_INK = "gray_r"
"""Digits are drawn dark on light, like on paper."""


@house_style
def sample_grid(path: Path, images: Images, labels: Labels) -> None:
    """Images ``(n, 28, 28)`` under their labels ``(n,)``."""
    captions = [str(label) for label in labels]
    figure = _grid(images, captions, columns=20, tile=0.62, caption_height=0.2)
    with saved(path, figure):
        figure.suptitle("Labelled images, each under its label", fontsize=11)


@house_style
def preprocessing(path: Path, images: dict[str, Images]) -> None:
    """The same digits before and after: a row of images ``(n, 28, 28)`` next to each name."""
    columns = len(next(iter(images.values())))
    figure, grid = plt.subplots(
        len(images),
        columns,
        figsize=(0.8 * columns + 1.2, 0.8 * len(images) + 0.4),
        layout="constrained",
        squeeze=False,
    )
    with saved(path, figure):
        for row, (name, shown) in zip(grid, images.items(), strict=True):
            row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
            for axes, image in zip(row, shown, strict=True):
                axes.imshow(image, cmap=_INK, vmin=0, vmax=255, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
        figure.suptitle("What preprocessing makes of the same digits", fontsize=11)


@house_style
def augmentation_preview(path: Path, originals: Images, warped: NDArray[np.uint8]) -> None:
    """Each of ``originals`` ``(n, 28, 28)`` at the left of its warps ``(n, k, 28, 28)``."""
    columns = 1 + warped.shape[1]
    images = np.concatenate([originals[:, np.newaxis], warped], axis=1).reshape(
        -1, *originals.shape[1:]
    )
    captions = ["original" if tile % columns == 0 else "" for tile in range(len(images))]
    figure = _grid(images, captions, columns=columns, tile=0.8, caption_height=0.16)
    with saved(path, figure):
        for original in figure.axes[0].images[::columns]:
            left, right, bottom, top = original.get_extent()
            frame = Rectangle((left, bottom), right - left, top - bottom)
            frame.set(fill=False, edgecolor=CORRECT, linewidth=1.5)
            figure.axes[0].add_patch(frame)
        figure.suptitle("How training warps each image, again in every epoch", fontsize=11)


@house_style
def error_gallery(path: Path, images: Images, errors: pd.DataFrame, *, num_errors: int) -> None:
    """Misclassified images, with true digit, predicted digit, runner-up and their probabilities.

    Args:
        path: of the PNG.
        images: uint8 ``(n, 28, 28)``.
        errors: ``n`` rows of `examples.tabulate_errors`.
        num_errors: how many errors there are in all.
    """
    captions = [
        "\n".join(
            [
                f"row {error.row}",
                f"true {error.true}: {error.p_true:.1%}",
                f"predicted {error.predicted}: {error.p_predicted:.1%}",
                f"then {error.runner_up}: {error.p_runner_up:.1%}",
            ]
        )
        for error in errors.itertuples()
    ]
    if len(images) == 0:
        figure = plt.figure(figsize=(6, 1.5))
        title = "No error in the held-out images"
    else:
        figure = _grid(images, captions, columns=10, tile=1.1, caption_height=0.64)
        errors_in_all = counted(num_errors, "error")
        title = f"{len(images)} of {errors_in_all}, the highest loss of each kind first"
    with saved(path, figure):
        figure.suptitle(title, fontsize=11)


@house_style
def low_confidence(
    path: Path, images: Images, probabilities: Probabilities, ids: NDArray[np.intp]
) -> None:
    """Test images ``(n, 28, 28)`` whose two most probable digits are closest, with both."""
    ranked = np.argsort(-probabilities, axis=1)[:, :2]
    captions = [
        f"#{image_id}\n{first}: {p[first]:.1%}\n{second}: {p[second]:.1%}"
        for image_id, p, (first, second) in zip(ids, probabilities, ranked, strict=True)
    ]
    figure = _grid(images, captions, columns=10, tile=1.1, caption_height=0.52)
    with saved(path, figure):
        figure.suptitle("Test images with the smallest margin between two digits", fontsize=11)


def _grid(
    images: Images, captions: list[str], *, columns: int, tile: float, caption_height: float
) -> Figure:
    """Images ``(n, 28, 28)`` in rows, each under its caption; sizes in inches."""
    rows = max(1, -(-len(images) // columns))
    title = 0.4
    width, height = columns * tile, rows * (tile + caption_height) + title
    figure = plt.figure(figsize=(width, height))
    axes: Axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(index, columns)
        left = (column + 0.04) * tile
        bottom = height - title - (row + 1) * (tile + caption_height) + 0.04 * tile
        extent = (left, left + 0.92 * tile, bottom, bottom + 0.92 * tile)
        axes.imshow(image, cmap=_INK, vmin=0, vmax=255, interpolation="nearest", extent=extent)
        middle, top = left + 0.46 * tile, bottom + 0.92 * tile + 2 / 72
        axes.text(middle, top, caption, fontsize=7, linespacing=1.1, ha="center", va="baseline")
    axes.set(xlim=(0, width), ylim=(0, height), aspect="auto")
    return figure
