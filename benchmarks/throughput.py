"""Images trained per second, as a share of what a matrix product reaches.

A training step is counted as three times the multiply-adds of a prediction, each as two operations.
Matrix product (of float32) and training in either type take turns in one process, each divided
among the threads as the train stage divides a batch; steps gather and warp their images as there.
"""

import argparse
import sys
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.read_tables import measure
from pipeline.architectures import ARCHITECTURES, build
from pipeline.errors import exit_status
from pipeline.networks.backend import make_repeatable, tf, use_threads
from pipeline.networks.summary import tabulate_layers
from pipeline.parallel import count_processors
from pipeline.training.augmentation import Warp, draw_transforms
from pipeline.training.fast_layers import ComputeDtype
from pipeline.training.loop import Fitter, Step, count_parts

TURNS = 7
STEPS = 10
BATCH = 128
FORMS, IMAGES = 3, 33_600
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
    num_parts = count_parts(BATCH, count_processors())
    use_threads(count_processors(), num_parts)
    make_repeatable(0)
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (FORMS, IMAGES, 28, 28), dtype=np.uint8)
    labels = generator.integers(0, 10, IMAGES, dtype=np.uint8)
    step = Step(
        generator.integers([FORMS, IMAGES], size=(BATCH, 2)),
        draw_transforms(Warp(8, 1.4, 0.1), BATCH, generator),
        np.ones(BATCH, np.float32),
    )
    matrix = tf.random.normal((SIDE, SIDE))
    multiply = tf.function(
        lambda: [tf.reduce_sum(rows @ matrix) for rows in tf.split(matrix, num_parts)]
    )
    for name in names:
        model = build(name)
        work = 2 * int(tabulate_layers(model)["multiply_adds"].sum())
        fitters = [Fitter(model, images, labels, 1e-3, dtype, num_parts) for dtype in DTYPES]

        def fit(fitter: Fitter) -> None:
            for _ in range(STEPS):
                fitter.fit(step, 1e-3)

        ways = [multiply, *(partial(fit, fitter) for fitter in fitters)]
        for warm_up in ways:
            warm_up()
        seconds = np.array([[measure(way) for way in ways] for _ in range(TURNS)])
        product = 2 * SIDE**3 / seconds[:, 0]
        in_float32, in_bfloat16 = (STEPS * BATCH / seconds[:, 1:]).T
        share = describe(3 * work * in_float32 / product)
        print(
            f"{name}: {work / 2e6:.1f} million multiply-adds; {np.median(in_float32):,.0f} "
            f"images/s trained in float32, {share} of a {SIDE}³ matrix product's "
            f"{np.median(product) / 1e9:.0f} GFLOP/s; {np.median(in_bfloat16):,.0f} trained in "
            f"bfloat16, {describe(in_bfloat16 / in_float32)} times as many"
        )


def describe(ratios: NDArray[np.float64]) -> str:
    """Median, least and most of the turns."""
    low, median, high = np.percentile(ratios, [0, 50, 100])
    return f"{median:.2f} ({low:.2f} to {high:.2f}, n = {len(ratios)})"


if __name__ == "__main__":
    sys.exit(exit_status(main))
