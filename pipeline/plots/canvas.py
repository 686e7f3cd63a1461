"""What all pictures share: colours, and files that are written whole or not at all.

Colours come from palettes that colour-blind people can tell apart; captions never rely on colour.
An SVG on a page takes the page's colours, also those of its dark mode; alone it has its own.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.files import atomic_path, write_text

_DPI = 120

CORRECT, ERROR = "#0072b2", "#d55e00"  # blue and vermilion of Okabe and Ito's palette

PALETTE = {
    "ink": "#1b1f24",
    "quiet": "#59636e",
    "line": "#d8dde3",
    "correct": CORRECT,
    "error": ERROR,
}
"""Colours of the SVGs by the name of the page's CSS variable that takes their place."""

_SVG_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": PALETTE["line"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": PALETTE["quiet"],
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.size": 9,
    "grid.color": PALETTE["line"],
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": PALETTE["ink"],
    "svg.fonttype": "none",
    "svg.hashsalt": "",
    "text.color": PALETTE["ink"],
    "xtick.color": PALETTE["line"],
    "xtick.labelcolor": PALETTE["quiet"],
    "ytick.color": PALETTE["line"],
    "ytick.labelcolor": PALETTE["quiet"],
}

house_style = plt.style.context([], after_reset=True)
"""Decorates functions that draw: Matplotlib's defaults, whatever style the user has chosen."""


@contextmanager
def saved(path: Path, figure: Figure) -> Iterator[None]:
    """Draw on ``figure``; afterwards it is written as PNG, unless drawing failed.

    The function that makes the figure is in `house_style`.
    """
    try:
        yield
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=_DPI, metadata={"Software": None})
    finally:
        plt.close(figure)


@contextmanager
def page_figure(path: Path) -> Iterator[Axes]:
    """Axes to draw in; afterwards an SVG that a page can inline."""
    with plt.style.context(_SVG_STYLE, after_reset=True):
        figure, axes = plt.subplots(figsize=(4.2, 3.0), layout="constrained")
        try:
            yield axes
            svg = StringIO()
            with warnings.catch_warnings():  # the browser has fonts for what Matplotlib lacks
                warnings.filterwarnings("ignore", "Glyph .* missing from font")
                figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        finally:
            plt.close(figure)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", svg.getvalue())
    for name, colour in PALETTE.items():
        text = text.replace(colour, f"var(--{name}, {colour})")
    write_text(path, text)


def legend_above(axes: Axes, names: Sequence[str] = (), *, columns: int = 2) -> None:
    """The legend above the axes, where it hides no data and looks like none.

    Args:
        axes: with what is labelled.
        names: instead of the labels; nothing in them is taken for markup.
        columns: of the legend.
    """
    legend = axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=columns)
    for text, name in zip(legend.get_texts(), names, strict=False):
        text.set_parse_math(False)
        text.set_text(name)
