"""Images per second in training and prediction, as a share of what a matrix product reaches.

A training step is counted as three times the multiply-adds of a prediction, each as two operations.
Matrix product (of float32), prediction, and training in either type take turns in one process.
"""

import argparse
import sys
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.read_tables import measure
from pipeline.architectures import ARCHITECTURES, build
from pipeline.backend import make_repeatable, tf
from pipeline.errors import exit_status
from pipeline.fast_layers import ComputeDtype
from pipeline.inference import TrainedNetwork, predict_probabilities
from pipeline.layers import tabulate_layers
from pipeline.training import Fitter

TURNS = 7
STEPS = 10
BATCH = 128
SIDE = 4096
DTYPES: tuple[ComputeDtype, ...] = "float32", "bfloat16"


def main() -> None:
    """Print a line per architecture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("architectures", nargs="*", default=["pooled_cnn", "deep_cnn"])
    names = parser.parse_args().architectures
    unknown = sorted(set(names) - set(ARCHITECTURES))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(ARCHITECTURES)}")
    make_repeatable(0)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (STEPS * BATCH, 28, 28), dtype=np.uint8)
    labels = generator.integers(0, 10, BATCH, dtype=np.uint8)
    batch = tf.constant(images[:BATCH]), tf.constant(labels), tf.ones(BATCH)
    matrix = tf.random.normal((SIDE, SIDE))
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(matrix, matrix)))
    for name in names:
        model = build(name)
        work = 2 * int(tabulate_layers(model)["multiply_adds"].sum())
        fitters = {dtype: Fitter(model, 1e-3, dtype) for dtype in DTYPES}
        predict = partial(predict_probabilities, TrainedNetwork(model, [[]]), images)

        def fit(fitter: Fitter) -> None:
            for _ in range(STEPS):
                fitter.fit(batch, 1e-3)

        parts = [multiply, predict, *(partial(fit, fitter) for fitter in fitters.values())]
        for warm_up in parts:
            warm_up()
        seconds = np.array([[measure(part) for part in parts] for _ in range(TURNS)])
        product = 2 * SIDE**3 / seconds[:, 0]
        predicted, *trained = (len(images) / seconds[:, 1:]).T
        share = describe(3 * work * trained[0] / product)
        print(
            f"{name}: {work / 2e6:.1f} million multiply-adds; {np.median(predicted):,.0f} images/s "
            f"predicted; {np.median(trained[0]):,.0f} trained in float32, {share} of a {SIDE}³ "
            f"matrix product's {np.median(product) / 1e9:.0f} GFLOP/s; "
            f"{np.median(trained[1]):,.0f} trained in bfloat16, "
            f"{describe(trained[1] / trained[0])} times as many"
        )


def describe(ratios: NDArray[np.float64]) -> str:
    """Median, least and most of the turns."""
    low, median, high = np.percentile(ratios, [0, 50, 100])
    return f"{median:.2f} ({low:.2f} to {high:.2f}, n = {len(ratios)})"


if __name__ == "__main__":
    sys.exit(exit_status(main))
