import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.data.dataset import Images
from pipeline.data.preprocessing import preprocess
from pipeline.ensemble.averaging import average_probabilities
from pipeline.errors import ArtifactError
from pipeline.handwriting.find_digit import Glyph, Problem, find_digit
from pipeline.handwriting.reader import RECORD, SURE_FROM, ExportedNetwork, Reader, Reading
from tests.handdrawn import MEMBER, draw_ink, paint


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    shutil.copytree(exported, tmp_path / "project")
    return tmp_path / "project"


def load(folder: Path) -> Reader:
    return Reader.load(folder / "exported", folder / "models")


def change(folder: Path, **changes: object) -> None:
    path = folder / "exported" / RECORD
    record = json.loads(path.read_text())
    record["members"][0] |= changes
    path.write_text(json.dumps(record))


def some_images() -> Images:
    return np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)


def test_probabilities_sum_to_one(reader: Reader) -> None:
    probabilities = reader.probabilities(some_images())
    assert probabilities.shape == (5, 10) and probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_members_are_averaged(copy: Path, reader: Reader) -> None:
    path = copy / "exported" / f"{MEMBER}.onnx"
    networks = [ExportedNetwork(path, [[]]), ExportedNetwork(path, [["deskew"]])]
    both = Reader(networks, sample=False).probabilities(some_images())
    straight = reader.probabilities(preprocess(some_images(), ["deskew"]))
    expected = average_probabilities([reader.probabilities(some_images()), straight])
    np.testing.assert_allclose(both, expected)


def test_forms_of_a_network_are_averaged(copy: Path) -> None:
    path = copy / "exported" / f"{MEMBER}.onnx"

    def ask(*forms: list[str]) -> NDArray[np.float64]:
        return ExportedNetwork(path, forms).probabilities(some_images())

    plain, straight, both = ask([]), ask(["deskew"]), ask([], ["deskew"])
    np.testing.assert_allclose(both, average_probabilities([plain, straight]), rtol=1e-12)
    assert np.abs(plain - straight).max() > 0.001


def test_reading_is_the_mean_of_turned_views(reader: Reader) -> None:
    leaning = find_digit(paint(draw_ink(7, np.random.default_rng(3)))).image.astype(float)
    views = np.stack(
        [
            ndimage.rotate(leaning, angle, reshape=False, order=1).round().astype(np.uint8)
            for angle in (40, 50, 30)
        ]
    )
    expected = reader.probabilities(views).mean(axis=0)
    (reading,) = reader.read_glyphs([Glyph(views[0], None)])
    np.testing.assert_allclose(reading.probabilities, expected, atol=0.03)
    assert np.abs(reader.probabilities(views[:1])[0] - expected).max() > 0.02


def test_reading_is_the_mean_of_networks(copy: Path) -> None:
    path = copy / "exported" / f"{MEMBER}.onnx"
    networks = [ExportedNetwork(path, [[]]), ExportedNetwork(path, [["deskew"]])]
    upright = find_digit(paint(draw_ink(7, np.random.default_rng(3)))).image
    glyph = Glyph(ndimage.rotate(upright, 40, reshape=False, order=1), None)

    def read(*chosen: ExportedNetwork) -> NDArray[np.float64]:
        return Reader(chosen, sample=False).read_glyphs([glyph])[0].probabilities

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


def test_nothing_exported_names_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"ensemble.json is missing: .*run: dvc repro"):
        load(tmp_path)


def test_newer_member_is_refused(copy: Path) -> None:
    with (copy / "models" / MEMBER / "model.keras").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match=r"trained after it was exported.*dvc repro export"):
        load(copy)


def test_export_alone_is_enough(copy: Path) -> None:
    shutil.rmtree(copy / "models")
    assert load(copy).names == [MEMBER]


@pytest.mark.parametrize("content", [b"", b"no network", b"\x08\x09" * 5000])
def test_damaged_network_is_named(content: bytes, copy: Path) -> None:
    (copy / "exported" / f"{MEMBER}.onnx").write_bytes(content)
    with pytest.raises(
        ArtifactError, match=r"0-0-pooled_cnn-plain.onnx is damaged: ONNX Runtime cannot"
    ):
        load(copy)


def test_missing_network_is_named(copy: Path) -> None:
    (copy / "exported" / f"{MEMBER}.onnx").unlink()
    with pytest.raises(ArtifactError, match=r"0-0-pooled_cnn-plain.onnx is missing"):
        load(copy)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"sample": false, "members": []}', '{"sample": 1, "members": [{}]}']
)
def test_damaged_record_is_named(content: str, copy: Path) -> None:
    (copy / "exported" / RECORD).write_text(content)
    with pytest.raises(ArtifactError, match=r"ensemble.json is damaged: expected the list"):
        load(copy)


def test_unknown_preprocessing_is_refused(copy: Path) -> None:
    change(copy, preprocessing=[["sharpen"]])
    with pytest.raises(ArtifactError, match=r"ensemble.json is damaged"):
        load(copy)


def test_name_cannot_lead_elsewhere(copy: Path) -> None:
    change(copy, name="../../elsewhere")
    with pytest.raises(ArtifactError):
        load(copy)
