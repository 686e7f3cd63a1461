"""Images trained per second: as a share of what a matrix product reaches, and by ways to compute.

A training step is counted as three times the multiply-adds of a prediction, each as two operations.
Matrix product (of float32) and training in either type take turns in one process, each divided
among the threads as the train stage divides a batch; steps gather and warp their images as there.

With ``--onednn``, training with TensorFlow's oneDNN kernels off and on, each in float32 and in
bfloat16, takes turns in processes of their own. ``ONEDNN_MAX_CPU_ISA=AVX2`` in the environment
keeps oneDNN from newer instructions, as on a processor that lacks them.

With ``--gpu``, a GPU trains in either type that it has, in turns.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from benchmarks.read_tables import measure
from pipeline.architectures import ARCHITECTURES, build
from pipeline.errors import exit_status
from pipeline.networks.backend import ComputeDtype, make_repeatable, tf, use_threads
from pipeline.networks.devices import CPU, Device, take_device
from pipeline.networks.machine import choose_compute_dtype
from pipeline.networks.summary import tabulate_layers
from pipeline.parallel import count_processors
from pipeline.training.augmentation import WarpLimits, draw_warps
from pipeline.training.epoch import Batch
from pipeline.training.step import TrainStep

TURNS = 7
STEPS = 10
BATCH = 128
PARTS = 2
VIEWS, IMAGES = 3, 33_600
SIDE = 4096
DTYPES: tuple[ComputeDtype, ...] = "float32", "bfloat16"


def main() -> None:
    """Print a line per architecture or, with ``--onednn``, per way to compute."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("architectures", nargs="*", default=["deep_pooled_cnn"])
    parser.add_argument("--onednn", action="store_true", help="compare oneDNN off and on")
    parser.add_argument("--gpu", action="store_true", help="train on a GPU")
    parser.add_argument("--isa", default="DEFAULT", help="with --onednn: its highest, say AVX2")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.architectures) - set(ARCHITECTURES))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(ARCHITECTURES)}")
    if arguments.onednn:
        for name in arguments.architectures:
            compare_onednn(name, arguments.isa)
        return
    device, note = take_device() if arguments.gpu else (CPU, "")
    if arguments.gpu and device.gpu is None:
        parser.error(note or "there is no GPU that networks can train on")
    prepare_process()
    for name in arguments.architectures:
        if device.gpu:
            measure_gpu(name, device)
        else:
            compare_with_product(name)


def compare_with_product(name: str) -> None:
    """Print how much of a matrix product's speed the training of an architecture reaches."""
    work = 2 * int(tabulate_layers(build(name))["multiply_adds"].sum())
    matrix = tf.random.normal((SIDE, SIDE))
    multiply = tf.function(
        lambda: [tf.reduce_sum(rows @ matrix) for rows in tf.split(matrix, PARTS)]
    )
    ways = [multiply, *(prepare_training(name, dtype) for dtype in DTYPES)]
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


def measure_gpu(name: str, device: Device) -> None:
    """Print the images per second that a GPU trains, in each type that it has."""
    has_bfloat16 = choose_compute_dtype("auto", device) == "bfloat16"
    dtypes = DTYPES if has_bfloat16 else DTYPES[:1]
    ways = [prepare_training(name, dtype, device) for dtype in dtypes]
    for warm_up in ways:
        warm_up()
    seconds = np.array([[measure(way) for way in ways] for _ in range(TURNS)])
    for dtype, speed in zip(dtypes, (STEPS * BATCH / seconds).T, strict=True):
        low, median, high = np.percentile(speed, [0, 50, 100])
        print(
            f"{name} on {device.gpu.name if device.gpu else 'the CPU'}: {median:,.0f} images/s "
            f"trained in {dtype} ({low:,.0f} to {high:,.0f}, n = {TURNS})"
        )


def compare_onednn(name: str, isa: str) -> None:
    """Print the images per second of each way to compute, and the ratio to the first way."""
    dtypes = DTYPES if isa == "DEFAULT" else DTYPES[:1]  # lower ones have no bfloat16
    ways = [(onednn, dtype) for onednn in (False, True) for dtype in dtypes]
    with ExitStack() as stack:
        trainers = [stack.enter_context(start(name, isa, onednn, dtype)) for onednn, dtype in ways]
        for trainer in trainers:
            take_turn(trainer)  # traces the step
        seconds = np.array([[take_turn(each) for each in trainers] for _ in range(TURNS)])
    speeds = STEPS * BATCH / seconds
    for (onednn, dtype), speed in zip(ways, speeds.T, strict=True):
        print(
            f"{name}, oneDNN {'on' if onednn else 'off'}, {dtype}: {np.median(speed):,.0f} "
            f"images/s, {describe(speed / speeds[:, 0])} times as many as without oneDNN in "
            f"{DTYPES[0]}"
        )


def start(name: str, isa: str, onednn: bool, dtype: ComputeDtype) -> subprocess.Popen[str]:
    """A process of `benchmarks.trainer`."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.trainer", name, dtype, "on" if onednn else "off", isa],
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": str(int(onednn)), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def take_turn(trainer: subprocess.Popen[str]) -> float:
    """Have a process train `STEPS` batches; the seconds that it took."""
    assert trainer.stdin is not None and trainer.stdout is not None
    trainer.stdin.write("\n")
    trainer.stdin.flush()
    return float(trainer.stdout.readline())


def prepare_process() -> None:
    """Divide the work of this process as the train stage does."""
    use_threads(min(PARTS, count_processors()))
    make_repeatable(0)


def prepare_training(name: str, dtype: ComputeDtype, device: Device = CPU) -> Callable[[], None]:
    """What trains an architecture on `STEPS` batches of random images."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (VIEWS, IMAGES, 28, 28), dtype=np.uint8)
    labels = generator.integers(0, 10, IMAGES, dtype=np.uint8)
    batch = Batch(
        generator.integers([VIEWS, IMAGES], size=(BATCH, 2)),
        draw_warps(WarpLimits(8, 1.4, 0.1), BATCH, generator),
        np.ones(BATCH, np.float32),
    )
    step = TrainStep(build(name), images, labels, 1e-3, dtype, PARTS, device)

    def train() -> None:
        for _ in range(STEPS):
            losses, _ = step.fit(batch, 1e-3)
        losses.numpy()  # a GPU is waited for

    return train


def describe(ratios: NDArray[np.float64]) -> str:
    """Median, least and most of the turns."""
    low, median, high = np.percentile(ratios, [0, 50, 100])
    return f"{median:.2f} ({low:.2f} to {high:.2f}, n = {len(ratios)})"


if __name__ == "__main__":
    sys.exit(exit_status(main))
