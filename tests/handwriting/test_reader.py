from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.ensemble.onnx import ExportedEnsemble, ExportedNetwork
from pipeline.handwriting.find_digit import Glyph, Problem, find_digit
from pipeline.handwriting.reader import SURE_FROM, Reader, Reading
from tests.handdrawn import MEMBER, draw_ink, paint


def test_reading_is_the_mean_of_turned_images(reader: Reader) -> None:
    leaning = find_digit(paint(draw_ink(7, np.random.default_rng(3)))).image.astype(float)
    turned = np.stack(
        [
            ndimage.rotate(leaning, angle, reshape=False, order=1).round().astype(np.uint8)
            for angle in (40, 50, 30)
        ]
    )
    expected = reader.ensemble.probabilities(turned).mean(axis=0)
    (reading,) = reader.read_glyphs([Glyph(turned[0], None)])
    np.testing.assert_allclose(reading.probabilities, expected, atol=0.03)
    assert np.abs(reader.ensemble.probabilities(turned[:1])[0] - expected).max() > 0.02


def test_reading_is_the_mean_of_networks(exported: Path) -> None:
    path = exported / "exported" / f"{MEMBER}.onnx"
    networks = [ExportedNetwork(path, [[]]), ExportedNetwork(path, [["deskew"]])]
    upright = find_digit(paint(draw_ink(7, np.random.default_rng(3)))).image
    glyph = Glyph(ndimage.rotate(upright, 40, reshape=False, order=1), None)

    def read(*chosen: ExportedNetwork) -> NDArray[np.float64]:
        reader = Reader(ExportedEnsemble(chosen, sample=False))
        return reader.read_glyphs([glyph])[0].probabilities

    each = [read(network) for network in networks]
    assert np.abs(each[0] - each[1]).max() > 0.01
    np.testing.assert_allclose(read(*networks), np.mean(each, axis=0))


def test_reading_ranks_digits() -> None:
    probabilities = np.array([0, 0.1, 0, 0.7, 0, 0.2, 0, 0, 0, 0])
    reading = Reading(np.zeros((28, 28), np.uint8), None, probabilities)
    assert (reading.digit, reading.runner_up) == (3, 5)
    assert (reading.probability, reading.runner_up_probability) == (0.7, 0.2)
    assert reading.sure is (SURE_FROM <= 0.7)


def test_problem_is_no_digit() -> None:
    reading = Reading(np.zeros((28, 28), np.uint8), Problem.BLANK, np.full(10, 0.1))
    assert reading.digit is None and reading.runner_up is None
    assert reading.probability == reading.runner_up_probability == 0
    assert not reading.sure


def test_clear_digit_is_sure(reader: Reader) -> None:
    reading = reader.read(paint(draw_ink(7, np.random.default_rng(0))))
    assert reading.digit == 7 and reading.sure


def test_nothing_to_read_gives_no_readings(reader: Reader) -> None:
    assert reader.read_glyphs([]) == []
