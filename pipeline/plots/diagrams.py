"""The layers of a network."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from pipeline.plots.canvas import house_style, saved

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


@house_style
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
