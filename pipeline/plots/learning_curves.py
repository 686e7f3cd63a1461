"""Learning curves: one figure of merit by epoch."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FormatStrFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
)

from pipeline.plots.canvas import CORRECT, ERROR, legend_above, page_figure

_TITLES = {"loss": "cross-entropy loss", "error_rate": "error rate"}


def learning_curve(path: Path, curves: pd.DataFrame, means: pd.DataFrame, measure: str) -> None:
    """One figure of merit per epoch: a pale line per member, their mean, and a band of ± one sd.

    Args:
        path: of the SVG.
        curves: columns member and epoch, ``<measure>`` of the training images as warped and
            ``val_<measure>`` of the validation set.
        means: columns epoch, and ``…_mean`` and ``…_sd`` of both.
        measure: ``loss`` or ``error_rate``.
    """
    with page_figure(path) as axes:
        for column, colour, dashes, name in (
            (measure, CORRECT, "-", "training images, warped, with dropout"),
            (f"val_{measure}", ERROR, "--", "validation set, not warped"),
        ):
            if curves[column].isna().all():  # without a validation set
                continue
            for _, history in curves.groupby("member"):
                axes.plot(
                    history["epoch"], history[column], dashes, color=colour, alpha=0.3, lw=0.8
                )
            mean, spread = means[f"{column}_mean"], means[f"{column}_sd"].fillna(0)
            axes.plot(means["epoch"], mean, dashes, color=colour, label=name, marker=".", ms=4)
            lower = np.maximum(mean - spread, mean / 10)
            axes.fill_between(means["epoch"], lower, mean + spread, color=colour, alpha=0.15, lw=0)
        set_axes(axes, measure)
        legend_above(axes, columns=1)


def set_axes(axes: Axes, measure: str) -> None:
    """Set what learning curves share: epochs across, a figure of merit on a logarithmic scale.

    Args:
        axes: that hold the curves.
        measure: ``loss`` or ``error_rate``.
    """
    axes.set(xlabel="epoch", ylabel=_TITLES[measure], yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(
        PercentFormatter(xmax=1) if measure == "error_rate" else FormatStrFormatter("%g")
    )
