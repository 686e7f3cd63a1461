"""Errors and confidence."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import (
    NullLocator,
    PercentFormatter,
    StrMethodFormatter,
)
from numpy.typing import NDArray

from pipeline.data.dataset import NUM_CLASSES
from pipeline.evaluation.metrics import darkest_fraction, tabulate_confusions
from pipeline.plots.canvas import (
    CORRECT,
    ERROR,
    PALETTE,
    house_style,
    legend_above,
    page_figure,
    saved,
)
from pipeline.wording import counted


@house_style
def confusion_matrix(path: Path, confusions: NDArray[np.int64]) -> None:
    """Counts and row percent ``(10, 10)``; errors have a colour scale of their own.

    The darkest colour is that of `metrics.darkest_fraction`.
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
    darkest = darkest_fraction(tabulate_confusions(confusions))
    figure, axes = plt.subplots(figsize=(11, 8.4), layout="constrained")
    with saved(path, figure):
        for mask, palette, title in (
            (~diagonal, "Blues", "correct, % of the row"),
            (diagonal | (confusions == 0), "Oranges", "errors, % of the row"),
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
        errors, total = int(confusions[~diagonal].sum()), int(confusions.sum())
        axes.set(
            xlabel="predicted digit",
            ylabel="true digit",
            title=f"{counted(errors, 'error')} in {counted(total, 'held-out image')}",
        )
        axes.tick_params(length=0, labelrotation=0)


def calibration(path: Path, table: pd.DataFrame) -> None:
    """Accuracy against confidence, with 95 % intervals, before and after temperature scaling.

    Args:
        path: of the SVG.
        table: rows of `tabulate_calibration`, and scaled, whether they are after scaling.
    """
    with page_figure(path) as axes:
        axes.plot([0, 1], [0, 1], color=PALETTE["quiet"], lw=0.8, dashes=(4, 3))
        for scaled, colour, marker, name in (
            (False, CORRECT, "o", "as they are"),
            (True, ERROR, "D", "after temperature scaling"),
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
        legend_above(axes)


def confidence_histogram(path: Path, table: pd.DataFrame) -> None:
    """How many predictions of each confidence are correct and errors, on a logarithmic scale.

    Args:
        path: of the SVG.
        table: from `tabulate_calibration`.
    """
    with page_figure(path) as axes:
        width = (table["high"] - table["low"]) / 2
        for offset, column, colour, hatch in (
            (0, "correct", CORRECT, None),
            (1, "errors", ERROR, "////"),
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
        axes.set(xlabel="confidence", ylabel="held-out images", xlim=(0, 1), yscale="log")
        axes.set_ylim(bottom=0.7)
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(visible=False, axis="x")
        legend_above(axes)
