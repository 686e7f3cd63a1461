"""The pictures. Arrays and tables in, PNG and SVG files out.

Colours come from palettes that colour-blind people can tell apart; captions never rely on colour.
An SVG on a page takes the page's colours, also those of its dark mode; alone it has its own.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
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
from matplotlib.ticker import (
    FormatStrFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
    StrMethodFormatter,
)
from numpy.typing import NDArray

from pipeline.digits import NUM_CLASSES, Images, Labels
from pipeline.files import replacing, write_text
from pipeline.metrics import Probabilities, darkest_share, tabulate_confusions

_DPI = 120
_INK = "gray_r"
"""Digits are drawn dark on light, like on paper."""

_RIGHT, _WRONG = "#0072b2", "#d55e00"  # blue and vermilion of Okabe and Ito's palette

_INKS = {
    "ink": "#1b1f24",
    "quiet": "#59636e",
    "line": "#d8dde3",
    "right": _RIGHT,
    "wrong": _WRONG,
}
"""Colours of the SVGs by the name of the page's CSS variable that takes their place."""

_SVG_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _INKS["line"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": _INKS["quiet"],
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.size": 9,
    "grid.color": _INKS["line"],
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": _INKS["ink"],
    "svg.fonttype": "none",
    "svg.hashsalt": "",
    "text.color": _INKS["ink"],
    "xtick.color": _INKS["line"],
    "xtick.labelcolor": _INKS["quiet"],
    "ytick.color": _INKS["line"],
    "ytick.labelcolor": _INKS["quiet"],
}

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
def saved(path: Path, figure: Figure) -> Iterator[None]:
    """Draw on ``figure``; afterwards it is written as PNG, unless drawing failed."""
    try:
        yield
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=_DPI, metadata={"Software": None})
    finally:
        plt.close(figure)


@contextmanager
def _page_figure(path: Path) -> Iterator[Axes]:
    """Axes to draw in; afterwards an SVG that a page can inline."""
    with plt.rc_context(_SVG_STYLE):
        figure, axes = plt.subplots(figsize=(4.2, 3.0), layout="constrained")
        try:
            yield axes
            svg = StringIO()
            figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        finally:
            plt.close(figure)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", svg.getvalue())
    for name, colour in _INKS.items():
        text = text.replace(colour, f"var(--{name}, {colour})")
    write_text(path, text)


def class_counts(path: Path, labels: Labels) -> None:
    """How many labelled images there are of each digit."""
    counts = np.bincount(labels, minlength=NUM_CLASSES)
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    with saved(path, figure):
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
    with saved(path, figure):
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
    with saved(path, figure):
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
    with saved(path, figure):
        for original in figure.axes[0].images[::columns]:
            left, right, bottom, top = original.get_extent()
            frame = Rectangle((left, bottom), right - left, top - bottom)
            frame.set(fill=False, edgecolor=_RIGHT, linewidth=1.5)
            figure.axes[0].add_patch(frame)
        figure.suptitle("How training warps each image, anew in every epoch", fontsize=11)


def confusion_matrix(path: Path, confusions: NDArray[np.int64]) -> None:
    """Counts and row percent ``(10, 10)``; errors have a colour scale of their own.

    How dark they get, `metrics.darkest_share` says.
    """
    totals = np.maximum(confusions.sum(axis=1, keepdims=True), 1)
    percent = 100 * confusions / totals
    text = np.array(
        [
            [f"{n:,}\n{p:.2f} %" if n else "" for n, p in zip(*row, strict=True)]
            for row in zip(confusions, percent, strict=True)
        ]
    )
    diagonal = np.eye(NUM_CLASSES, dtype=bool)
    darkest = darkest_share(tabulate_confusions(confusions))
    figure, axes = plt.subplots(figsize=(11, 8.4), layout="constrained")
    with saved(path, figure):
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
                vmax=100 * darkest if mask[0, 0] else 100,
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


def learning_curve(
    path: Path, curves: pd.DataFrame, means: pd.DataFrame, *, measure: str, title: str
) -> None:
    """One figure of merit per epoch: a pale line per member, their mean, and a band of ± one sd.

    Args:
        path: of the SVG.
        curves: columns member and epoch, ``<measure>`` of the training images as warped and
            ``stopping_<measure>`` of the stopping slice.
        means: columns epoch, and ``…_mean`` and ``…_sd`` of both.
        measure: ``loss`` or ``error_rate``.
        title: of the vertical axis.
    """
    with _page_figure(path) as axes:
        for column, colour, dashes, name in (
            (measure, _RIGHT, "-", "training images, warped, with dropout"),
            (f"stopping_{measure}", _WRONG, "--", "stopping slice, as it is"),
        ):
            for _, history in curves.groupby("member"):
                axes.plot(
                    history["epoch"], history[column], dashes, color=colour, alpha=0.3, lw=0.8
                )
            mean, spread = means[f"{column}_mean"], means[f"{column}_sd"].fillna(0)
            axes.plot(means["epoch"], mean, dashes, color=colour, label=name, marker=".", ms=4)
            lower = np.maximum(mean - spread, mean / 10)
            axes.fill_between(means["epoch"], lower, mean + spread, color=colour, alpha=0.15, lw=0)
        axes.set(xlabel="epoch", ylabel=title, yscale="log")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(
            PercentFormatter(xmax=1) if measure == "error_rate" else FormatStrFormatter("%g")
        )
        axes.legend()


def calibration(path: Path, table: pd.DataFrame) -> None:
    """Accuracy against confidence, with 95 % intervals, before and after temperature scaling.

    Args:
        path: of the SVG.
        table: rows of `tabulate_calibration`, and scaled, whether they are after scaling.
    """
    with _page_figure(path) as axes:
        axes.plot([0, 1], [0, 1], color=_INKS["quiet"], lw=0.8, dashes=(4, 3))
        for scaled, colour, marker, name in (
            (False, _RIGHT, "o", "as they are"),
            (True, _WRONG, "D", "after temperature scaling"),
        ):
            bins = table[(table["scaled"] == scaled) & table["confidence"].notna()]
            if bins.empty:
                continue
            reach = np.abs(bins[["accuracy_low", "accuracy_high"]].T - bins["accuracy"])
            axes.errorbar(
                bins["confidence"],
                bins["accuracy"],
                yerr=reach.to_numpy(),
                color=colour,
                marker=marker,
                ls="none",
                ms=4,
                elinewidth=0.8,
                label=name,
            )
        axes.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(xmax=1))
        axes.legend(loc="lower right")


def confidence_histogram(path: Path, table: pd.DataFrame) -> None:
    """How many predictions of each confidence were right and wrong, on a logarithmic scale.

    Args:
        path: of the SVG.
        table: from `tabulate_calibration`.
    """
    with _page_figure(path) as axes:
        width = (table["high"] - table["low"]) / 2
        for offset, column, colour, hatch in (
            (0, "right", _RIGHT, None),
            (1, "wrong", _WRONG, "////"),
        ):
            axes.bar(
                table["low"] + offset * width,
                table[column],
                width * 0.92,
                align="edge",
                color=colour if hatch is None else "none",
                edgecolor=colour,
                hatch=hatch,
                lw=0.8,
                label=f"{column}: {table[column].sum():,}",
            )
        axes.set(xlabel="confidence", ylabel="held-back images", xlim=(0, 1), yscale="log")
        axes.set_ylim(bottom=0.7)
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(visible=False, axis="x")
        axes.legend(loc="upper left")


def predicted_counts(path: Path, table: pd.DataFrame) -> None:
    """How often each digit was predicted, beside what the training labels lead to expect.

    Args:
        path: of the SVG.
        table: from `metrics.compare_counts`.
    """
    with _page_figure(path) as axes:
        axes.bar(table["digit"], table["predicted"], 0.66, color=_RIGHT, label="predicted")
        axes.plot(
            table["digit"],
            table["expected"],
            "_",
            color=_WRONG,
            ms=19,
            mew=2.5,
            label="expected from the training labels",
        )
        axes.set(xlabel="digit", ylabel="test images", xticks=table["digit"])
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.margins(y=0.25)
        axes.grid(visible=False, axis="x")
        axes.legend(loc="upper center", ncols=2)


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
    with saved(path, figure):
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
    with saved(path, figure):
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
    with saved(path, figure):
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
