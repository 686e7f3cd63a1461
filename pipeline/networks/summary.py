"""The layers of a model as a table, for people and for the diagram that `plots` draws."""

import math

import pandas as pd

from pipeline.networks.backend import keras


def tabulate_layers(model: keras.Model) -> pd.DataFrame:
    """One row per layer; what a model computes between them with `keras.ops` has rows as well.

    Returns:
        Columns layer (its name), type, window (height and width of a filter or pooling, else
        empty), output (shape without the batch), parameters, and multiply_adds of convolutions
        and dense layers for one image.
    """
    return pd.DataFrame(
        {
            "layer": layer.name,
            "type": type(layer).__name__,
            "window": getattr(layer, "kernel_size", getattr(layer, "pool_size", ())),
            "output": tuple(layer.output.shape[1:]),
            "parameters": layer.count_params() if isinstance(layer, keras.Layer) else 0,
            "multiply_adds": _count_multiply_adds(layer),
        }
        for layer in model.operations
    )


def _count_multiply_adds(layer: keras.Operation) -> int:
    if not isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
        return 0
    return int(math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape))


def describe_layers(table: pd.DataFrame) -> list[dict[str, str]]:
    """The rows of `tabulate_layers` as text."""
    return [
        {
            "layer": row.layer,
            "type": row.type,
            "window": "×".join(map(str, row.window)),
            "output": "×".join(map(str, row.output)),
            "parameters": f"{row.parameters:,}",
            "multiply-adds": f"{row.multiply_adds:,}",
        }
        for row in table.itertuples()
    ]
