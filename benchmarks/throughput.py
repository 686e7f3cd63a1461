"""Images per second in training and prediction, as a share of what a matrix product reaches.

A training step is counted as three times the multiply-adds of a prediction, each as two operations.
Matrix product and network take turns in one process.
"""

import argparse
import sys

import numpy as np

from benchmarks.read_tables import measure
from pipeline.architectures import ARCHITECTURES, build
from pipeline.backend import make_repeatable, tf
from pipeline.errors import exit_status
from pipeline.inference import TrainedNetwork, predict_probabilities
from pipeline.layers import tabulate_layers
from pipeline.training import Fitter

TURNS = 7
STEPS = 10
BATCH = 128
SIDE = 4096


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
        fitter, network = Fitter(model, 1e-3), TrainedNetwork(model, [[]])

        def fit(fitter: Fitter = fitter) -> None:
            for _ in range(STEPS):
                fitter.fit(batch, 1e-3)

        def predict(network: TrainedNetwork = network) -> None:
            predict_probabilities(network, images)

        for warm_up in (fit, predict, multiply):
            warm_up()
        seconds = np.array(
            [[measure(part) for part in (multiply, fit, predict)] for _ in range(TURNS)]
        )
        product = 2 * SIDE**3 / seconds[:, 0]
        trained, predicted = (len(images) / seconds[:, column] for column in (1, 2))
        share = np.percentile(3 * work * trained / product, [0, 50, 100])
        print(
            f"{name}: {work / 2e6:.1f} million multiply-adds; training {np.median(trained):,.0f} "
            f"and prediction {np.median(predicted):,.0f} images/s; training at {share[1]:.0%} "
            f"({share[0]:.0%} to {share[2]:.0%}, n = {TURNS}) of a {SIDE}³ matrix product's "
            f"{np.median(product) / 1e9:.0f} GFLOP/s"
        )


if __name__ == "__main__":
    sys.exit(exit_status(main))
