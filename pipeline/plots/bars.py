"""How many images there are of each digit."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import StrMethodFormatter

from pipeline.data.dataset import NUM_CLASSES, Labels
from pipeline.plots.canvas import CORRECT, ERROR, house_style, legend_above, page_figure, saved


@house_style
def class_counts(path: Path, labels: Labels) -> None:
    """How many labelled images there are of each digit."""
    counts = np.bincount(labels, minlength=NUM_CLASSES)
    with plt.style.context("seaborn-v0_8-whitegrid"):
        figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    with saved(path, figure):
        bars = axes.bar(np.arange(NUM_CLASSES), counts, color=CORRECT)
        axes.bar_label(bars, fmt="{:,.0f}", padding=2)
        axes.set(xlabel="digit", ylabel="labelled images", title=f"{len(labels):,} labelled images")
        axes.set(xticks=np.arange(NUM_CLASSES))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.margins(y=0.1)
        axes.grid(visible=False, axis="x")
        axes.spines[["left", "right", "top"]].set_visible(False)


def predicted_counts(path: Path, table: pd.DataFrame) -> None:
    """How often each digit was predicted, next to the count that the training labels predict.

    Args:
        path: of the SVG.
        table: from `label_shift.compare_counts`.
    """
    with page_figure(path) as axes:
        axes.bar(table["digit"], table["predicted"], 0.66, color=CORRECT, label="predicted")
        axes.plot(
            table["digit"],
            table["expected"],
            "_",
            color=ERROR,
            ms=19,
            mew=2.5,
            label="expected from the training labels",
        )
        axes.set(xlabel="digit", ylabel="test images", xticks=table["digit"])
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(visible=False, axis="x")
        legend_above(axes)
