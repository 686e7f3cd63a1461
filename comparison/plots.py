"""The two figures of the comparison. Tables in, PNG files out."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import FixedLocator, NullLocator
from sklearn.isotonic import isotonic_regression

from pipeline.plots.canvas import house_style, saved

_COLOURS = {"author": "#d55e00", "ours": "#0072b2"}  # vermilion and blue of Okabe and Ito
_MARKERS = {"author": "o", "ours": "s"}
_LINES = ("#0072b2", "#009e73", "#d55e00", "#e69f00", "#cc79a7", "#56b4e9")
_LINE_MARKERS = "osD^vP"
_ERROR_TICKS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10, 20, 30, 50, 70)
"""Error rates in percent."""
_NAMES_BEGIN = 0.76
"""Where names stand, as a share of the width."""
_NAME_POINTS = 12
"""Least distance of two names, in points of 1/72 inch."""
_MINUTE_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)


@house_style
def accuracy_over_time(path: Path, table: pd.DataFrame, *, title: str) -> None:
    """Each network's accuracy with its interval over its training time, by either recipe.

    A thin line joins the two; a tick beside it is the author's claim.

    Args:
        path: of the PNG.
        table: of `tabulate.tabulate`.
        title: of the figure; may be empty.
    """
    with sns.axes_style("whitegrid"):
        figure, axes = plt.subplots(figsize=(10, 6.4), layout="constrained")
    with saved(path, figure):
        points = {recipe: _place_points(table, recipe) for recipe in _COLOURS}
        for recipe, heading in (("author", "the author's recipe"), ("ours", "our recipe")):
            place = points[recipe].dropna()
            if not len(place):
                continue
            axes.errorbar(
                place["minutes"],
                place["wrong"],
                yerr=[place["wrong"] - place["least"], place["most"] - place["wrong"]],
                fmt=_MARKERS[recipe],
                color=_COLOURS[recipe],
                ecolor=(*to_rgb(_COLOURS[recipe]), 0.35),
                markersize=6,
                label=heading,
            )
        axes.plot(
            *(
                np.stack([points[recipe][name] for recipe in _COLOURS])
                for name in ("minutes", "wrong")
            ),
            color="0.75",
            linewidth=0.8,
            zorder=1,
        )
        axes.plot([], [], color="0.75", linewidth=0.8, label="the same network")
        claims = 100 * (1 - table["claim"])
        at = points["author"]["minutes"].fillna(points["ours"]["minutes"])
        axes.scatter(at, claims, marker="_", s=160, color="black", zorder=3, label="claim")
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="minutes of training on one core",
            ylabel="accuracy on held-out digits, with 95 % interval",
            title=title,
        )
        axes.invert_yaxis()
        axes.yaxis.set_major_locator(FixedLocator(_ERROR_TICKS))
        axes.yaxis.set_major_formatter(lambda wrong, _: f"{100 - wrong:g} %")
        axes.yaxis.set_minor_locator(NullLocator())
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(FixedLocator([each for each in _MINUTE_TICKS if each < high]))
        axes.xaxis.set_major_formatter(lambda minutes, _: f"{minutes:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(low, low * (high / low) ** (1 / (_NAMES_BEGIN - 0.04)))
        axes.legend(loc="upper left", frameon=True, facecolor="white", edgecolor="none")
        sns.despine(figure, left=True)
        figure.canvas.draw()
        named = points["ours"].fillna(points["author"])
        _label_points(
            axes,
            named["minutes"].to_numpy(),
            named["wrong"].to_numpy(),
            table["network"].tolist(),
        )


def _place_points(table: pd.DataFrame, recipe: str) -> pd.DataFrame:
    """Minutes, error rate in percent, and the ends of its interval, for each row."""
    wrong, most, least = (
        100 * (1 - table[f"{recipe}_accuracy{end}"].clip(upper=1 - 1e-5))
        for end in ("", "_low", "_high")
    )
    minutes = table[f"{recipe}_core_seconds"] / 60
    return pd.DataFrame({"minutes": minutes, "wrong": wrong, "least": least, "most": most})


def _label_points(axes: Axes, x: np.ndarray, y: np.ndarray, labels: Sequence[str]) -> None:
    """Names at the right edge, each as high as its point or as near as the others let it be."""
    if not labels:
        return
    points_per_pixel = 72 / axes.figure.dpi
    height = axes.get_window_extent().height * points_per_pixel
    places = axes.transAxes.inverted().transform(axes.transData.transform(np.column_stack([x, y])))
    order = np.argsort(places[:, 1])
    steps = _NAME_POINTS / height * np.arange(len(order))
    heights = isotonic_regression(places[order, 1] - steps) + steps  # least squares, in this order
    for index, level in zip(order, heights, strict=True):
        axes.annotate(
            labels[index],
            (x[index], y[index]),
            xytext=(_NAMES_BEGIN, level),
            textcoords="axes fraction",
            fontsize=8,
            va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            arrowprops={
                "arrowstyle": "-",
                "color": "0.6",
                "linewidth": 0.6,
                "linestyle": ":",
                "shrinkB": 4,
                "relpos": (0, 0.5),
            },
        )


@house_style
def robustness(path: Path, table: pd.DataFrame, *, warp: tuple[float, float], title: str) -> None:
    """Accuracy over the distance that digits are shifted and over the angle they are turned.

    Args:
        path: of the PNG.
        table: rows of ``moved.csv``; the mean over seeds is drawn, and the range between the
            worst and the best of them is shaded.
        warp: how far training warped the digits: pixels and degrees.
        title: above both panels; may be empty.
    """
    means = table.groupby("network")["accuracy"].mean().sort_values(ascending=False)
    with sns.axes_style("whitegrid"):
        figure, panels = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained", sharey=True)
    with saved(path, figure):
        for axes, kind, unit, warped in zip(
            panels, ("shift", "rotation"), ("pixels", "degrees"), warp, strict=True
        ):
            axes.axvspan(0, warped, color="0.92", zorder=0, label="seen in training")
            moved = table[table["moved"] == kind]
            for name, colour, marker in zip(means.index, _LINES, _LINE_MARKERS, strict=False):
                rows = moved[moved["network"] == name]
                accuracy = rows.groupby("amount")["accuracy"].agg(["mean", "min", "max"])
                axes.plot(
                    accuracy.index,
                    100 * accuracy["mean"],
                    color=colour,
                    marker=marker,
                    markersize=5,
                    label=name,
                )
                axes.fill_between(
                    accuracy.index,
                    100 * accuracy["min"],
                    100 * accuracy["max"],
                    color=colour,
                    alpha=0.2,
                    linewidth=0,
                )
            axes.set(xlabel=f"{kind}, {unit}", xlim=(0, None))
            axes.yaxis.set_major_formatter(lambda percent, _: f"{percent:g} %")
        panels[0].set(ylim=(0, 102), ylabel="accuracy on held-out digits")
        panels[1].legend(loc="lower left", frameon=True, facecolor="white", edgecolor="none")
        figure.suptitle(title)
        sns.despine(figure, left=True)
