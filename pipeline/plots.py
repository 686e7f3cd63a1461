"""The pictures. Arrays and tables in, PNG files out.

Colours come from palettes that colour-blind people can tell apart; captions never rely on colour.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from pipeline.digits import NUM_CLASSES, Images, Labels
from pipeline.files import replacing
from pipeline.metrics import Probabilities

_DPI = 120
_INK = "gray_r"
"""Digits are drawn dark on light, like on paper."""

_RIGHT, _WRONG = "#0072b2", "#d55e00"  # blue and vermilion of Okabe and Ito's palette

_DRAWN_LAYERS = {
    "InputLayer": ("images", "#ffffff"),
    "ZeroPadding2D": ("padding", "#ffffff"),
    "Conv2D": ("convolution", "#56b4e9"),
    "MaxPooling2D": ("max pooling", "#e69f00"),
    "BatchNormalization": ("batch norm", "#dddddd"),
    "Dense": ("dense", "#009e73"),
    "TrueDivide": ("division", "#dddddd"),
}
"""Caption and colour by layer type."""

_LAYER_GAP = 1.6


@contextmanager
def _saved(path: Path, figure: Figure) -> Iterator[None]:
    try:
        yield
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=_DPI, metadata={"Software": None})
    finally:
        plt.close(figure)


def class_counts(path: Path, labels: Labels) -> None:
    """How many labelled images there are of each digit."""
    counts = np.bincount(labels, minlength=NUM_CLASSES)
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    with _saved(path, figure):
        sns.barplot(x=np.arange(NUM_CLASSES), y=counts, color=_RIGHT, ax=axes)
        axes.bar_label(axes.containers[0], fmt="{:,.0f}", padding=2)  # type: ignore[arg-type]
        axes.set(xlabel="digit", ylabel="labelled images", title=f"{len(labels):,} labelled images")
        axes.margins(y=0.1)
        axes.grid(visible=False, axis="x")
        sns.despine(ax=axes, left=True)


def sample_grid(path: Path, images: Images, labels: Labels) -> None:
    """Images ``(n, 28, 28)`` under their labels ``(n,)``."""
    captions = [str(label) for label in labels]
    figure = _grid(images, captions, columns=20, tile=0.62, caption_height=0.2)
    with _saved(path, figure):
        figure.suptitle("Labelled images, each under its label", fontsize=11)


def preprocessing(path: Path, images: dict[str, Images]) -> None:
    """The same digits before and after: a row of images ``(n, 28, 28)`` beside each name."""
    columns = len(next(iter(images.values())))
    figure, grid = plt.subplots(
        len(images),
        columns,
        figsize=(0.8 * columns + 1.2, 0.8 * len(images) + 0.4),
        layout="constrained",
        squeeze=False,
    )
    with _saved(path, figure):
        for row, (name, shown) in zip(grid, images.items(), strict=True):
            row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
            for axes, image in zip(row, shown, strict=True):
                axes.imshow(image, cmap=_INK, vmin=0, vmax=255, interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
        figure.suptitle("What preprocessing makes of the same digits", fontsize=11)


def augmentation_preview(path: Path, originals: Images, warped: NDArray[np.uint8]) -> None:
    """Each of ``originals`` ``(n, 28, 28)`` at the left of its warps ``(n, k, 28, 28)``."""
    columns = 1 + warped.shape[1]
    images = np.concatenate([originals[:, np.newaxis], warped], axis=1).reshape(
        -1, *originals.shape[1:]
    )
    captions = ["original" if tile % columns == 0 else "" for tile in range(len(images))]
    figure = _grid(images, captions, columns=columns, tile=0.8, caption_height=0.16)
    with _saved(path, figure):
        for tile, axes in enumerate(figure.axes):
            if tile % columns == 0:
                for spine in axes.spines.values():
                    spine.set(visible=True, color=_RIGHT, linewidth=1.5)
        figure.suptitle("What training sees: each image is warped anew in every epoch", fontsize=11)


def confusion_matrix(path: Path, confusions: NDArray[np.int64]) -> None:
    """Counts and row percent ``(10, 10)``; errors have a colour scale of their own."""
    totals = np.maximum(confusions.sum(axis=1, keepdims=True), 1)
    percent = 100 * confusions / totals
    text = np.array(
        [
            [f"{n:,}\n{p:.2f} %" if n else "" for n, p in zip(*row, strict=True)]
            for row in zip(confusions, percent, strict=True)
        ]
    )
    diagonal = np.eye(NUM_CLASSES, dtype=bool)
    figure, axes = plt.subplots(figsize=(11, 8.4), layout="constrained")
    with _saved(path, figure):
        for mask, palette, title in (
            (~diagonal, "Blues", "right, % of the row"),
            (diagonal | (confusions == 0), "Oranges", "wrong, % of the row"),
        ):
            sns.heatmap(
                percent,
                mask=mask,
                annot=text,
                fmt="",
                cmap=palette,
                vmin=0 if mask[0, 0] else min(percent.diagonal().min(), 90),
                vmax=max(percent[~mask].max(initial=0), 0.01),
                linewidths=0.5,
                annot_kws={"fontsize": 8},
                cbar_kws={"label": title, "shrink": 0.8, "pad": 0.015},
                ax=axes,
            )
        wrong = int(confusions[~diagonal].sum())
        axes.set(
            xlabel="predicted digit",
            ylabel="true digit",
            title=f"{wrong:,} of {confusions.sum():,} held-back images were misread",
        )
        axes.tick_params(length=0, labelrotation=0)


def learning_curves(path: Path, curves: pd.DataFrame) -> None:
    """Loss and error rate per epoch, of the training images as warped and of the stopping slice.

    Args:
        path: of the PNG.
        curves: columns member, epoch, loss, accuracy, stopping_loss and stopping_accuracy.
    """
    with sns.axes_style("whitegrid"):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    with _saved(path, figure):
        for member, (_, history) in enumerate(curves.groupby("member")):
            for prefix, colour, name in (
                ("", _RIGHT, "training images, warped, with dropout"),
                ("stopping_", _WRONG, "stopping slice, as it is"),
            ):
                label = name if member == 0 else None
                style: dict[str, Any] = {
                    "color": colour,
                    "label": label,
                    "marker": ".",
                    "alpha": 0.8,
                }
                left.plot(history["epoch"], history[f"{prefix}loss"], **style)
                right.plot(history["epoch"], 1 - history[f"{prefix}accuracy"], **style)
        for axes, title in ((left, "cross-entropy loss"), (right, "error rate")):
            axes.set(xlabel="epoch", title=title, yscale="log")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
            axes.yaxis.set_minor_locator(NullLocator())
        right.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        left.legend(frameon=False)
        sns.despine(figure)


def error_gallery(path: Path, images: Images, errors: pd.DataFrame, *, num_errors: int) -> None:
    """Misclassified images, with true digit, predicted digit, runner-up and their probabilities.

    Args:
        path: of the PNG.
        images: uint8 ``(n, 28, 28)``.
        errors: ``n`` rows of `metrics.tabulate_errors`.
        num_errors: how many errors there are in all.
    """
    captions = [
        "\n".join(
            [
                f"row {error.row}",
                f"true {error.true}: {error.p_true:.1%}",
                f"read {error.predicted}: {error.p_predicted:.1%}",
                f"then {error.runner_up}: {error.p_runner_up:.1%}",
            ]
        )
        for error in errors.itertuples()
    ]
    if len(images) == 0:
        figure = plt.figure(figsize=(6, 1.5))
        title = "No held-back image was misread"
    else:
        figure = _grid(images, captions, columns=10, tile=1.1, caption_height=0.64)
        title = f"{len(images)} of {num_errors:,} errors, the costliest of each kind first"
    with _saved(path, figure):
        figure.suptitle(title, fontsize=11)


def least_certain(
    path: Path, images: Images, probabilities: Probabilities, ids: NDArray[np.intp]
) -> None:
    """Test images ``(n, 28, 28)`` whose two most probable digits are closest, with both."""
    ranked = np.argsort(-probabilities, axis=1)[:, :2]
    captions = [
        f"#{image_id}\n{first}: {p[first]:.1%}\n{second}: {p[second]:.1%}"
        for image_id, p, (first, second) in zip(ids, probabilities, ranked, strict=True)
    ]
    figure = _grid(images, captions, columns=10, tile=1.1, caption_height=0.52)
    with _saved(path, figure):
        figure.suptitle("Test images with the closest call between two digits", fontsize=11)


def architecture(path: Path, layers: pd.DataFrame, name: str) -> None:
    """Each layer's output as a box: as tall as the feature maps, as wide as there are many.

    Args:
        path: of the PNG.
        layers: columns layer, type, window (of a convolution or pooling), output (a shape without
            the batch) and parameters.
        name: of the architecture.
    """
    drawn = layers[layers["type"].isin(_DRAWN_LAYERS)]
    heights = [shape[0] if len(shape) > 1 else 1 for shape in drawn["output"]]
    channels = [shape[-1] if len(shape) != 2 else 1 for shape in drawn["output"]]
    widths = 0.4 + 0.45 * np.log2(channels)
    lefts = np.cumsum(widths + _LAYER_GAP) - widths
    right, half = lefts[-1] + widths[-1] + _LAYER_GAP, max(heights) / 2
    figure, axes = plt.subplots(figsize=(max(0.24 * right, 5), 3.6), layout="constrained")
    with _saved(path, figure):
        for layer, left, width, height in zip(
            drawn.itertuples(), lefts, widths, heights, strict=True
        ):
            kind, colour = _DRAWN_LAYERS[layer.type]
            box = Rectangle((left, -height / 2), width, height, facecolor=colour, edgecolor="black")
            axes.add_patch(box)
            window, shape = ("×".join(map(str, sizes)) for sizes in (layer.window, layer.output))
            weights = f"{layer.parameters:,} weights" if layer.parameters else ""
            axes.annotate(
                f"{kind} {window}\n{shape}\n{weights}",
                (left + width / 2, -half - 1),
                ha="center",
                va="top",
                fontsize=6.5,
            )
        axes.set(xlim=(0, right), ylim=(-half - 8, half + 0.5))
        axes.set_axis_off()
        omitted = [kind for kind in layers["type"].unique() if kind not in _DRAWN_LAYERS]
        axes.set_title(f"{name}: {layers['parameters'].sum():,} parameters", fontsize=11)
        figure.supxlabel(f"not drawn: {', '.join(omitted) or 'nothing'}", fontsize=6.5)


def _grid(
    images: Images, captions: list[str], *, columns: int, tile: float, caption_height: float
) -> Figure:
    """Images ``(n, 28, 28)`` in rows, each under its caption; sizes in inches."""
    rows = max(1, -(-len(images) // columns))
    title = 0.4
    height = rows * (tile + caption_height) + title
    figure = plt.figure(figsize=(columns * tile, height))
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(index, columns)
        bottom = height - title - (row + 1) * (tile + caption_height)
        axes: Axes = figure.add_axes(
            (
                (column + 0.04) / columns,
                (bottom + 0.04 * tile) / height,
                0.92 / columns,
                0.92 * tile / height,
            )
        )
        axes.imshow(image, cmap=_INK, vmin=0, vmax=255, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_title(caption, fontsize=7, pad=2, linespacing=1.1)
    return figure
