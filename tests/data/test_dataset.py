"""The npz files between the stages."""

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.data import dataset
from pipeline.data.dataset import LEFT_OUT, Provenance, TrainingDigits, UnlabelledDigits
from pipeline.errors import ArtifactError
from pipeline.files import write_json


def test_training_digits_come_back(tmp_path: Path, training_digits: TrainingDigits) -> None:
    dataset.save(tmp_path / "train.npz", training_digits)
    loaded = dataset.load_training(tmp_path / "train.npz")
    for name in ("images", "labels", "folds"):
        expected, found = getattr(training_digits, name), getattr(loaded, name)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.uint8
    assert loaded.provenance == training_digits.provenance


@pytest.mark.parametrize("sample", [True, False])
def test_unlabelled_digits_come_back(
    tmp_path: Path, test_digits: UnlabelledDigits, sample: bool
) -> None:
    provenance = Provenance(sample, "c" * 64, "d" * 64)
    dataset.save(tmp_path / "test.npz", UnlabelledDigits(test_digits.images, provenance))
    loaded = dataset.load_test(tmp_path / "test.npz")
    np.testing.assert_array_equal(loaded.images, test_digits.images)
    assert loaded.provenance == provenance


def test_equal_digits_give_equal_bytes(tmp_path: Path, test_digits: UnlabelledDigits) -> None:
    for name in ("a.npz", "b.npz"):
        dataset.save(tmp_path / name, test_digits)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_provenance_names_the_data_and_its_hashes() -> None:
    assert str(Provenance(True, "a" * 64, "b" * 64)).startswith("the embedded sample (train aaaa")
    assert str(Provenance(False, "a" * 64, "b" * 64)).startswith("the competition's data (train")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"train\.npz is missing: .* run: dvc repro$"):
        dataset.load_training(tmp_path / "train.npz")


def assert_damaged(path: Path) -> None:
    expected = f"^{re.escape(str(path))} is damaged: expected the arrays .+ run: dvc repro$"
    with pytest.raises(ArtifactError, match=expected):
        dataset.load_test(path)


@pytest.mark.parametrize("content", [b"", b"not an npz", b"PK\x03\x04", b"\x00" * 1000])
def test_file_of_another_kind_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "test.npz").write_bytes(content)
    assert_damaged(tmp_path / "test.npz")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_file_cut_off_is_damaged(
    tmp_path: Path, test_digits: UnlabelledDigits, share: float
) -> None:
    path = tmp_path / "test.npz"
    dataset.save(path, test_digits)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert_damaged(path)


def test_flipped_pixel_is_damaged(tmp_path: Path, test_digits: UnlabelledDigits) -> None:
    path = tmp_path / "test.npz"
    dataset.save(path, test_digits)
    content = bytearray(path.read_bytes())
    content[5_000] ^= 1
    path.write_bytes(content)
    assert_damaged(path)


def test_file_without_an_array_is_damaged(tmp_path: Path, test_digits: UnlabelledDigits) -> None:
    np.savez(tmp_path / "test.npz", images=test_digits.images)
    assert_damaged(tmp_path / "test.npz")


def test_every_flipped_byte_in_the_tables_of_the_file_is_noticed_or_harmless(
    tmp_path: Path, test_digits: UnlabelledDigits
) -> None:
    path = tmp_path / "test.npz"
    few = UnlabelledDigits(test_digits.images[:1], test_digits.provenance)
    dataset.save(path, few)
    whole = path.read_bytes()
    for place in range(len(whole) - 250, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :])
        try:
            np.testing.assert_array_equal(dataset.load_test(path).images, few.images)
        except ArtifactError as error:
            assert "is damaged" in str(error)


@pytest.mark.parametrize(
    "change",
    [
        {"images": np.zeros((20, 28, 27), np.uint8)},
        {"images": np.zeros((20, 784), np.uint8)},
        {"images": np.zeros((20, 28, 28), np.float32)},
        {"images": np.zeros((0, 28, 28), np.uint8)},
        {
            "images": np.zeros((0, 28, 28), np.uint8),
            "labels": np.zeros(0, np.uint8),
            "folds": np.zeros(0, np.uint8),
        },
        {"corrected_labels": np.full(20, 77, np.uint8)},
        {"labels": np.zeros(19, np.uint8)},
        {"labels": np.full(20, 10, np.uint8)},
        {"labels": np.zeros((20, 1), np.uint8)},
        {"folds": np.zeros(20, np.int64)},
        {"sample": np.array("True")},
        {"train_sha256": np.array(5)},
    ],
)
def test_arrays_of_another_form_are_damaged(change: dict[str, Any], tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"images": np.zeros((20, 28, 28), np.uint8)}
    arrays |= {name: np.zeros(20, np.uint8) for name in ("labels", "folds")}
    arrays |= {name: np.array("a" * 64) for name in ("train_sha256", "test_sha256")}
    np.savez(tmp_path / "train.npz", sample=np.array(True), **arrays)
    assert len(dataset.load_training(tmp_path / "train.npz").images) == 20
    np.savez(tmp_path / "train.npz", **{"sample": np.array(True)} | arrays | change)
    with pytest.raises(ArtifactError, match=r"train\.npz is damaged: expected the arrays"):
        dataset.load_training(tmp_path / "train.npz")


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    names = ("images", "sample", "train_sha256", "test_sha256")
    pickled: dict[str, Any] = {name: np.array([{}], dtype=object) for name in names}
    np.savez(tmp_path / "test.npz", **pickled)
    assert_damaged(tmp_path / "test.npz")


@pytest.mark.parametrize("content", ["{}", "[]", '{"sample": 1}', '{"sample": true, "train": "a"}'])
def test_damaged_provenance_names_what_brings_it_back(content: str, tmp_path: Path) -> None:
    path = tmp_path / "provenance.json"
    path.write_text(content)
    with pytest.raises(ArtifactError, match="is damaged: expected sample.*dvc checkout --force"):
        dataset.read_provenance(path)


def test_provenance_comes_back(tmp_path: Path) -> None:
    provenance = Provenance(False, "c" * 64, "d" * 64)
    write_json(tmp_path / "provenance.json", asdict(provenance))
    assert dataset.read_provenance(tmp_path / "provenance.json") == provenance


def correct(digits: TrainingDigits) -> TrainingDigits:
    """Row 3 is labelled as a 7, row 5 is left out."""
    labels = digits.labels.copy()
    labels[[3, 5]] = 7, LEFT_OUT
    return replace(digits, corrected_labels=labels)


def test_networks_train_on_corrected_labels_and_others_see_them_as_given(
    tmp_path: Path, training_digits: TrainingDigits
) -> None:
    path = tmp_path / "train.npz"
    dataset.save(path, correct(training_digits))
    given, trained_on = dataset.load_labelled(path), dataset.load_training(path)
    np.testing.assert_array_equal(given.labels, training_digits.labels)
    np.testing.assert_array_equal(given.images, training_digits.images)
    kept = np.delete(np.arange(60), 5)
    np.testing.assert_array_equal(trained_on.images, training_digits.images[kept])
    np.testing.assert_array_equal(trained_on.folds, training_digits.folds[kept])
    assert trained_on.labels[3] == 7
    np.testing.assert_array_equal(trained_on.labels[4:], training_digits.labels[kept][4:])
    assert trained_on.corrected_labels is None


def test_file_without_corrections_is_the_one_of_versions_that_knew_none(
    tmp_path: Path, training_digits: TrainingDigits
) -> None:
    """A network is current as long as the bytes of train.npz are those that it trained on."""
    dataset.save(tmp_path / "train.npz", training_digits)
    arrays: dict[str, Any] = {
        name: getattr(training_digits, name) for name in ("images", "labels", "folds")
    }
    arrays |= {name: np.array(each) for name, each in asdict(training_digits.provenance).items()}
    np.savez(tmp_path / "expected.npz", **arrays)
    assert (tmp_path / "train.npz").read_bytes() == (tmp_path / "expected.npz").read_bytes()
