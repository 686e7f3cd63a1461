"""Learning curves of several runs in one figure."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.plots.canvas import CORRECT, ERROR, PALETTE, legend_above, page_figure
from pipeline.plots.learning_curves import set_axes

_COLOURS = (PALETTE["quiet"], CORRECT, ERROR, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = ("-", "--", "-.", ":")
_LONGEST_NAME = 24


def learning_curves(path: Path, curves: pd.DataFrame, names: Sequence[str], measure: str) -> None:
    """One figure of merit per epoch: the validation set's by a line, the training images' pale.

    Args:
        path: of the SVG.
        curves: column run, and those of `learning_curves.average_curves`.
        names: of the runs; each keeps its colour and dashes, whether it has curves or not.
        measure: ``loss`` or ``error_rate``.
    """
    shown = []
    with page_figure(path) as axes:
        for place, name in enumerate(names):
            of_run = curves[curves["run"] == name]
            if of_run.empty:
                continue
            colour = _COLOURS[place % len(_COLOURS)]
            dashes = _DASHES[place // len(_COLOURS) % len(_DASHES)]
            epochs = of_run["epoch"]
            shown.append(name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…")
            axes.plot(epochs, of_run[f"{measure}_mean"], dashes, color=colour, alpha=0.35, lw=0.9)
            axes.plot(
                epochs,
                of_run[f"val_{measure}_mean"],
                dashes,
                color=colour,
                label=f"run {place}",
                marker="os^Dvpx"[place % 7],
                ms=3,
            )
        set_axes(axes, measure)
        legend_above(axes, shown, columns=2)
