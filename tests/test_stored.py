"""What stages hand over is checked when it is read, and nothing is decoded that cannot be whole."""

import re
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import ArtifactError
from pipeline.files import corruption_as
from pipeline.stored import Arrays, check_arrays, read_arrays, read_record, read_table

IMAGES = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)


@dataclass(frozen=True)
class Inner:
    name: str


@dataclass(frozen=True)
class Record:
    number: int
    share: float
    inner: Inner
    names: tuple[str, ...]


GOOD = b'{"number": 1, "share": 2, "inner": {"name": "a"}, "names": ["b"]}'


def read(path: Path) -> Record:
    return read_record(path, Record, lambda reason: ArtifactError(f"damaged: {reason}"))


def test_record_comes_back(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(GOOD)
    assert read(tmp_path / "a.json") == Record(1, 2.0, Inner("a"), ("b",))


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (b"1", b'"1"', "number"),
        (b"1", b"true", "number"),
        (b"1", b"1.5", "number"),
        (b"2", b"null", "share"),
        (b'{"name": "a"}', b"[]", "inner"),
        (b'"a"', b"5", "inner.name"),
        (b'"b"', b"5", "names.0"),
        (b'"number"', b'"numbers"', "number"),
        (b"{", b"[" * 3000, "the whole"),
        (b"{", b"", "the whole"),
        (b"a", b"\xff", "the whole"),
        (b"}}", b"}, 1}", "the whole"),
    ],
)
def test_record_of_another_form_is_damaged(
    old: bytes, new: bytes, place: str, tmp_path: Path
) -> None:
    content = GOOD.replace(old, new, 1)
    assert content != GOOD or old == b"}}"
    (tmp_path / "a.json").write_bytes(content if content != GOOD else GOOD + b"}")
    with pytest.raises(ArtifactError, match=f"^damaged: {re.escape(place)} is wrong"):
        read(tmp_path / "a.json")


def test_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"a\.json is missing"):
        read(tmp_path / "a.json")


def npz(**arrays: NDArray[Any]) -> bytes:
    file = BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def load(content: bytes) -> Arrays:
    with corruption_as(ArtifactError):
        return read_arrays(content)
    raise AssertionError


def with_header(header: str, data: bytes = b"") -> bytes:
    """An npz of one array whose header says what it likes."""
    text = header.encode().ljust(117) + b"\n"
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "images.npy",
            b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data,
        )
    return file.getvalue()


def test_arrays_come_back_and_can_be_written() -> None:
    arrays = load(npz(images=IMAGES, name=np.array("a"), none=np.empty((0, 2))))
    assert list(arrays) == ["images", "name", "none"]
    np.testing.assert_array_equal(arrays["images"], IMAGES)
    arrays["images"][0] = 0


def as_npy(array: NDArray[Any]) -> bytes:
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        as_npy(IMAGES),
        b"",
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (784000000000000,), }"),
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }", b"1234"),
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", b"1234"),
        with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }", b"1"),
        with_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"12345678"),
        with_header("{" * 100),
        with_header("((((" * 25),
        npz(images=IMAGES)[:-30],
        npz(images=IMAGES).replace(bytes(IMAGES[1]), bytes(16)),
    ],
)
def test_damaged_arrays_are_named_before_they_are_given_room(content: bytes) -> None:
    with pytest.raises(ArtifactError):
        load(content)


def test_arrays_of_another_form_are_named() -> None:
    forms = {"images": ("uint8", ("n", 4, 4)), "labels": ("uint8", ("n",)), "name": ("U", ())}
    good: Arrays = {"images": IMAGES, "labels": np.zeros(3, np.uint8), "name": np.array("a")}
    check_arrays(good, forms)
    for name, other in [
        ("images", IMAGES[:, :3]),
        ("images", IMAGES[0]),
        ("images", IMAGES.astype(np.int8)),
        ("labels", np.zeros(2, np.uint8)),
        ("name", np.array(["a"])),
        ("name", np.array(5)),
    ]:
        with pytest.raises(ValueError, match=f"^(images|{name}) is "):
            check_arrays(good | {name: other}, forms)
    with pytest.raises(ValueError, match="^name is missing"):
        check_arrays({name: good[name] for name in ("images", "labels")}, forms)


def test_table_comes_back(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("epoch,loss\n1,0.5\n")
    assert read_table(tmp_path / "a.csv", ["epoch"]).to_dict("list") == {
        "epoch": [1],
        "loss": [0.5],
    }


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"a,b\n1,2,3,4\n1\n1,2,3,4,5,6\n", b"a\n1\n"]
)
def test_damaged_table_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a\.csv is damaged: .*dvc repro"):
        read_table(tmp_path / "a.csv", ["epoch"])
