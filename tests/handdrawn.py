"""Digits drawn by polylines, each a little different, and a small network that was taught them.

The pictures that tests read are made here; nobody's handwriting is part of the repository.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.ensemble.onnx import ExportedMember, ExportRecord
from pipeline.files import sha256
from pipeline.handwriting.find_digit import find_digit
from pipeline.handwriting.pictures import Pixels
from pipeline.handwriting.reader import Reader
from tests.conftest import build_once

Line = list[tuple[float, float]]

MEMBER = "0-0-small"


def arc(
    x: float, y: float, across: float, down: float, start: float, end: float, points: int = 24
) -> Line:
    """Points of an ellipse's arc; degrees clockwise from the right."""
    turns = np.deg2rad(np.linspace(start, end, points))
    return [(x + across * float(np.cos(t)), y + down * float(np.sin(t))) for t in turns]


SHAPES: dict[int, list[Line]] = {
    0: [arc(0.5, 0.5, 0.32, 0.48, -90, 270)],
    1: [[(0.5, 0.02), (0.5, 0.98)]],
    2: [[*arc(0.5, 0.28, 0.32, 0.26, -170, 40), (0.15, 0.97), (0.87, 0.97)]],
    3: [arc(0.45, 0.26, 0.33, 0.24, -150, 90), arc(0.45, 0.73, 0.38, 0.25, -90, 150)],
    4: [[(0.4, 0.02), (0.14, 0.6), (0.9, 0.6)], [(0.68, 0.3), (0.66, 0.98)]],
    5: [[(0.85, 0.03), (0.25, 0.03), (0.22, 0.45), *arc(0.46, 0.68, 0.36, 0.28, -120, 140)]],
    6: [[(0.68, 0.02), (0.4, 0.22), (0.2, 0.6), *arc(0.5, 0.71, 0.31, 0.27, 180, 540)]],
    7: [[(0.12, 0.04), (0.86, 0.04), (0.4, 0.98)]],
    8: [arc(0.5, 0.26, 0.26, 0.24, 90, 450), arc(0.5, 0.74, 0.33, 0.25, -90, 270)],
    9: [[*arc(0.5, 0.28, 0.29, 0.26, 0, -360), (0.79, 0.28), (0.72, 0.98)]],
}


def draw_ink(
    digit: int,
    generator: np.random.Generator,
    *,
    size: int = 120,
    height: float = 0.6,
    width: float = 0.07,
) -> NDArray[np.float64]:
    """The share of ink in each pixel of a square picture, ``(size, size)``, 0 to 1.

    Args:
        digit: which.
        generator: slant, proportions and place are drawn from it.
        size: in pixels.
        height: of the digit, as a share of the picture.
        width: of the pen, as a share of the digit's height.
    """
    scale = 4
    slant, turn = generator.uniform(-0.15, 0.25), np.deg2rad(generator.uniform(-6, 6))
    aspect = generator.uniform(0.6, 0.85)
    off = generator.uniform(-0.06, 0.06, 2)
    side = size * scale * height
    canvas = Image.new("L", (size * scale, size * scale))
    pen = ImageDraw.Draw(canvas)
    thickness = max(1, round(width * side))
    for line in SHAPES[digit]:
        points = []
        for x, y in line:
            x, y = (x - 0.5) * aspect - slant * (y - 0.5), y - 0.5
            x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
            points.append(
                tuple(float((place + 0.5 / height) * side) for place in (x + off[0], y + off[1]))
            )
        pen.line(points, fill=255, width=thickness, joint="curve")
        for x, y in (points[0], points[-1]):
            r = thickness / 2
            pen.ellipse((x - r, y - r, x + r, y + r), fill=255)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX)) / 255


def paint(
    ink: NDArray[np.float64],
    *,
    paper: tuple[float, ...] = (255, 255, 255),
    colour: tuple[float, ...] = (20, 20, 25),
) -> Pixels:
    """Ink of one colour on paper of another, as RGBA."""
    share = ink[..., np.newaxis]
    return opaque(np.asarray(paper) * (1 - share) + np.asarray(colour) * share)


def save_drawing(path: Path, digit: int, seed: int = 0) -> Path:
    """Write a picture of a digit, dark on white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(paint(draw_ink(digit, np.random.default_rng(seed)))).save(path)
    return path


def opaque(levels: NDArray[np.float64]) -> Pixels:
    """Grey or RGB levels of any range, ``(height, width, 1 or 3)``, clipped to bytes, as RGBA."""
    rgb = np.clip(levels, 0, 255).round().astype(np.uint8)
    rgb = np.broadcast_to(rgb, (*rgb.shape[:2], 3))
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's ``models/`` and ``exported/``: one small network that was taught these digits."""
    return build_once(tmp_path_factory, "handdrawn", _teach)


def _teach(folder: Path) -> None:
    from pipeline.networks.backend import keras
    from pipeline.networks.export import to_onnx
    from pipeline.networks.trained import save_model

    generator = np.random.default_rng(0)
    labels = np.tile(np.arange(10, dtype=np.uint8), 40)
    images = np.stack(
        [
            find_digit(
                paint(draw_ink(label, generator, size=64, width=generator.uniform(0.04, 0.16)))
            ).image
            for label in labels
        ]
    )
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((28, 28), dtype="uint8")
    x = layers.Rescaling(1 / 255)(layers.Reshape((28, 28, 1))(inputs))
    x = layers.Conv2D(12, 5, strides=2, activation="relu")(x)
    x = layers.Conv2D(24, 3, strides=2, activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.003), loss)
    model.fit(images, labels, epochs=20, batch_size=40, verbose=0)
    save_model(model, folder / "models" / MEMBER / "model.keras")
    to_onnx(model, folder / "exported" / f"{MEMBER}.onnx")
    trained, network = folder / f"models/{MEMBER}/model.keras", folder / f"exported/{MEMBER}.onnx"
    member = ExportedMember(MEMBER, sha256(trained), [[]], sha256(network))
    ExportRecord(False, (member,)).write(folder / "exported")


@pytest.fixture(scope="session")
def reader(exported: Path) -> Reader:
    """The small network, as `Reader` loads it."""
    return Reader.load(exported / "exported", exported / "models")
