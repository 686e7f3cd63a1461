"""Images trained per second, by this package and by the same network in plain PyTorch, in turns.

PyTorch trains the network eagerly and compiled, channels last, in float32 and, where the processor
has it, in bfloat16. Each way to train is a process of its own. All gather, warp and fit the same
batch, on as many threads as this package uses.

    pip install torch
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from benchmarks.throughput import (
    BATCH,
    DTYPES,
    IMAGES,
    PARTS,
    STEPS,
    TURNS,
    VIEWS,
    describe,
    start,
    take_turn,
)
from pipeline.architectures import ARCHITECTURES, build
from pipeline.errors import exit_status
from pipeline.networks.backend import keras, make_repeatable
from pipeline.networks.devices import CPU
from pipeline.networks.machine import choose_compute_dtype
from pipeline.parallel import count_processors
from pipeline.training.augmentation import WarpLimits, draw_warps

_COMPARED = 256
"""Images on which the twin's logits are compared with Keras's."""

_CLOSE = 1e-3
"""By so much logits may differ at most; float32 rounds them by some 1e-5."""


def main() -> None:
    """Print the images per second of each way to train, and ours as a multiple of the best."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("architecture", nargs="?", default="deep_pooled_cnn")
    parser.add_argument("--turns", type=int, default=TURNS)
    arguments = parser.parse_args()
    if arguments.architecture not in ARCHITECTURES:
        parser.error(f"unknown: {arguments.architecture}; known: {', '.join(ARCHITECTURES)}")
    if importlib.util.find_spec("torch") is None:
        print("PyTorch is not installed: nothing to compare with. Install it: pip install torch")
        return
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        write_task(arguments.architecture, Path(folder))
        compare(arguments.architecture, Path(folder), arguments.turns, stack)


def write_task(name: str, folder: Path) -> None:
    """Write the network, its weights, images and a batch for PyTorch's processes."""
    make_repeatable(0)
    model = build(name)
    generator = np.random.default_rng(0)
    for layer in model.layers:  # as fresh layers have them, all statistics would be 0 and 1
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([generator.uniform(0.5, 1.5, each.shape) for each in layer.weights])
    images = generator.integers(0, 256, (VIEWS, IMAGES, 28, 28), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    np.save(folder / "logits.npy", model.predict_on_batch(images[0, :_COMPARED]))
    weights = {
        f"{layer.name}/{number}": np.array(value)
        for layer in model.layers
        for number, value in enumerate(layer.weights)
        if not value.path.endswith("seed_generator_state")
    }
    np.savez(folder / "weights.npz", **weights)  # type: ignore[arg-type]
    (folder / "network.json").write_text(json.dumps(model.get_config()))
    np.savez(
        folder / "batch.npz",
        shown=generator.integers([VIEWS, IMAGES], size=(BATCH, 2)),
        warps=draw_warps(WarpLimits(8, 1.4, 0.1), BATCH, generator),
        labels=generator.integers(0, 10, BATCH),
    )


def compare(name: str, folder: Path, turns: int, stack: ExitStack) -> None:
    """Train by all ways in turns, and print a line for each."""
    dtypes = DTYPES if choose_compute_dtype("auto", CPU) == "bfloat16" else DTYPES[:1]
    trainers = {}
    for dtype in dtypes:
        trainers["this package", dtype] = stack.enter_context(start(name, "DEFAULT", True, dtype))
        for way in ("eager", "compiled"):
            trainer = stack.enter_context(start_peer(folder, dtype, way))
            trainers[f"PyTorch, {way}", dtype] = trainer
            check_twin(trainer)
    for trainer in trainers.values():
        take_turn(trainer)  # traces or compiles the step
    speeds = {
        way: STEPS * BATCH / np.array(seconds)
        for way, seconds in zip(
            trainers,
            np.array([[take_turn(each) for each in trainers.values()] for _ in range(turns)]).T,
            strict=True,
        )
    }
    peers = {way: speed for way, speed in speeds.items() if way[0] != "this package"}
    for (way, dtype), speed in speeds.items():
        print(f"{name}, {way}, {dtype}: {np.median(speed):,.0f} images/s")
    for dtype in dtypes:
        own = speeds["this package", dtype]
        best = max((way for way in peers if way[1] == dtype), key=lambda way: np.median(peers[way]))
        print(f"in {dtype}: {describe(own / peers[best])} times {best[0]}, PyTorch's best way")
    best = max(peers, key=lambda way: np.median(peers[way]))
    ours = max(np.median(speeds["this package", dtype]) for dtype in dtypes)
    print(
        f"in the type that suits each: {ours / np.median(peers[best]):.2f} times {', '.join(best)}"
    )


def start_peer(folder: Path, dtype: str, way: str) -> subprocess.Popen[str]:
    """A process of `benchmarks.peer_trainer`."""
    threads = str(min(PARTS, count_processors()))
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.peer_trainer", str(folder)),
            *(dtype, way, threads, str(STEPS)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def check_twin(trainer: subprocess.Popen[str]) -> None:
    """Read how far the twin's logits are from Keras's, and give up if it is another network.

    Raises:
        SystemExit: they differ by more than rounding.
    """
    assert trainer.stdout is not None
    line = trainer.stdout.readline()
    if not line or float(line) > _CLOSE:
        raise SystemExit(f"peers: PyTorch's network differs from Keras's, by {line.strip()}.")


if __name__ == "__main__":
    sys.exit(exit_status(main))
