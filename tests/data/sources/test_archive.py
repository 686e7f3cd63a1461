"""The archive that the user put at hand: taken whole, or refused with nothing left behind."""

import random
import re
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import tables
from pipeline.data.sources import archive
from pipeline.data.sources.archive import ARCHIVE_NAME, Found
from pipeline.errors import PipelineError, SourceError, TableError

NAMES = ["train.csv", "test.csv"]


@pytest.fixture(scope="session")
def csvs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the two CSVs hold: few rows, which compress little."""
    folder = tmp_path_factory.mktemp("csvs")
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    tables.write(folder / "train.csv", images, np.arange(4, dtype=np.uint8))
    tables.write(folder / "test.csv", images)
    return {name: (folder / name).read_bytes() for name in NAMES}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def good(data: Path, csvs: dict[str, bytes]) -> Path:
    """The competition's archive, small."""
    return write_zip(data / ARCHIVE_NAME, {"sample_submission.csv": b"ImageId,Label\n"} | csvs)


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def assert_refused(path: Path, expected: str, kind: type[PipelineError] = SourceError) -> None:
    """`check` and `extract` fail with one paragraph; nothing appears, anywhere."""
    root = path.parent.parent
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}
    for action in (archive.check, lambda found: archive.extract(found, root / "raw")):
        with pytest.raises(kind, match=expected) as caught:
            action(Found(path))
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith("run: dvc repro")
    assert {file: file.read_bytes() for file in root.rglob("*") if file.is_file()} == before


def test_archive_gives_both_tables_and_nothing_else(
    good: Path, tmp_path: Path, csvs: dict[str, bytes]
) -> None:
    archive.extract(Found(good), tmp_path / "raw")
    found = {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()}
    assert found == csvs


def test_folder_gives_both_tables(tmp_path: Path, data: Path, csvs: dict[str, bytes]) -> None:
    for name, content in csvs.items():
        (data / name).write_bytes(content)
    archive.extract(Found(data), tmp_path / "raw")
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == csvs


def test_hashes_name_the_files_and_follow_their_content(
    good: Path, tmp_path: Path, csvs: dict[str, bytes]
) -> None:
    (before,) = Found(good).hashes().items()
    good.write_bytes(good.read_bytes() + b"x")
    (after,) = Found(good).hashes().items()
    assert before[0] == after[0] == ARCHIVE_NAME
    assert before[1] != after[1]
    for name, content in csvs.items():
        (tmp_path / name).write_bytes(content)
    assert list(Found(tmp_path).hashes()) == NAMES


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<!DOCTYPE html><title>Login</title>", id="web page"),
        pytest.param(b"\n  <html>", id="web page after spaces"),
        pytest.param(b"train.csv", id="text"),
        pytest.param(b"PK\x03\x04", id="beginning alone"),
        pytest.param(b"\0" * 5_000, id="zeros"),
    ],
)
def test_file_of_another_kind_is_refused(data: Path, content: bytes) -> None:
    problem = "empty" if not content else "a web page" if b"<" in content else "cut off or damaged"
    (data / ARCHIVE_NAME).write_bytes(content)
    expected = rf"is not a whole zip archive: it is {problem}.* \({len(content):,} bytes\)"
    assert_refused(data / ARCHIVE_NAME, expected)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99, 0.9999])
def test_archive_cut_off_is_refused(good: Path, share: float) -> None:
    good.write_bytes(good.read_bytes()[: int(good.stat().st_size * share)])
    assert_refused(good, "is not a whole zip archive: it is cut off or damaged")


@pytest.mark.parametrize("name", NAMES)
def test_flipped_bit_in_a_table_is_refused(good: Path, name: str) -> None:
    with zipfile.ZipFile(good) as file:
        member = file.getinfo(name)
    content = bytearray(good.read_bytes())
    content[member.header_offset + 100 + member.compress_size // 2] ^= 1
    good.write_bytes(content)
    assert_refused(good, "is not a whole zip archive|is not the competition's file")


def test_damage_anywhere_is_noticed_or_harmless(
    good: Path, tmp_path: Path, csvs: dict[str, bytes]
) -> None:
    whole = good.read_bytes()
    generator = random.Random(0)
    for place in [*range(len(whole) - 250, len(whole)), *generator.sample(range(len(whole)), 50)]:
        good.write_bytes(whole[:place] + bytes([whole[place] ^ 0x84]) + whole[place + 1 :])
        try:
            archive.extract(Found(good), tmp_path / "raw")
        except PipelineError:
            assert not (tmp_path / "raw").exists()
        else:
            assert {name: (tmp_path / "raw" / name).read_bytes() for name in NAMES} == csvs
            for name in NAMES:
                (tmp_path / "raw" / name).unlink()
            (tmp_path / "raw").rmdir()


@pytest.mark.parametrize(
    "name",
    ["../evil.csv", "a/../../evil.csv", "/evil.csv", "..\\evil.csv", "\\evil.csv", "C:\\evil.csv"],
)
def test_name_that_points_outside_is_refused(data: Path, csvs: dict[str, bytes], name: str) -> None:
    path = write_zip(data / ARCHIVE_NAME, csvs | {name: b"evil"})
    expected = f"holds a file named {re.escape(repr(name))}, which points outside the archive"
    assert_refused(path, expected)


@pytest.mark.parametrize("name", NAMES)
def test_missing_table_is_refused(data: Path, csvs: dict[str, bytes], name: str) -> None:
    path = write_zip(data / ARCHIVE_NAME, {"a.txt": b""} | csvs | {name: b""})
    write_zip(path, {"a.txt": b""} | {key: csvs[key] for key in NAMES if key != name})
    assert_refused(
        path, rf"expected train\.csv and test\.csv in it, but {name} is not there; found a"
    )


def test_archive_without_any_file_is_refused(data: Path) -> None:
    assert_refused(write_zip(data / ARCHIVE_NAME, {}), "but train.csv is not there; found nothing")


def zipped(members: dict[str, bytes]) -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return content.getvalue()


def rezip(kind: str, csvs: dict[str, bytes]) -> dict[str, bytes]:
    """The members of an archive that was packed again, or put together from single files."""
    match kind:
        case "folder":
            return {f"digit-recognizer/{name}": content for name, content in csvs.items()}
        case "folder of Windows":
            return {f"digit-recognizer\\{name}": content for name, content in csvs.items()}
        case "folder of macOS":
            leftovers = {f"__MACOSX/digits/._{name}": b"\0\5\x16\7" for name in csvs}
            leftovers |= {f"__MACOSX/digits/{name}": b"" for name in csvs}
            return {f"digits/{name}": data for name, data in csvs.items()} | leftovers
        case "entries for folders":
            return {"a/": b"", "a/train.csv/": b""} | {f"a/{k}": data for k, data in csvs.items()}
        case "zipped tables":
            return {f"{name}.zip": zipped({name: data}) for name, data in csvs.items()}
        case "zipped tables in a folder":
            return {f"a/b/{name}.zip": zipped({name: data}) for name, data in csvs.items()}
        case "the archive in a folder":
            return {"digits/notes.txt": b"", f"digits/{ARCHIVE_NAME}": zipped(csvs)}
        case "tables that are zips":
            return {name: zipped({name: data}) for name, data in csvs.items()}
    return {f"{name}.zip": data for name, data in csvs.items()}


@pytest.mark.parametrize(
    "kind",
    [
        "folder",
        "folder of Windows",
        "folder of macOS",
        "entries for folders",
        "zipped tables",
        "zipped tables in a folder",
        "the archive in a folder",
        "tables that are zips",
        "tables named like zips",
    ],
)
def test_archive_that_was_packed_again_is_read(
    kind: str, data: Path, tmp_path: Path, csvs: dict[str, bytes]
) -> None:
    path = write_zip(data / ARCHIVE_NAME, rezip(kind, csvs))
    archive.extract(Found(path), tmp_path / "raw")
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == csvs
    archive.check(Found(path), {"train.csv": 4, "test.csv": 4})
    with pytest.raises(TableError, match=r"zip/.*train\.csv.* is not complete: expected 5 rows"):
        archive.check(Found(path), {"train.csv": 5, "test.csv": 4})


def place(folder: Path, form: str, name: str, content: bytes) -> None:
    """One table in a folder, as it may arrive."""
    match form:
        case "bare":
            (folder / name).write_bytes(content)
        case "zipped":
            (folder / f"{name}.zip").write_bytes(zipped({name: content}))
        case "zipped under its own name":
            (folder / name).write_bytes(zipped({name: content}))
        case "unpacked into a folder":
            (folder / name).mkdir()
            (folder / name / name).write_bytes(content)
        case "bare, named like a zip":
            (folder / f"{name}.zip").write_bytes(content)


FORMS = [
    "bare",
    "zipped",
    "zipped under its own name",
    "unpacked into a folder",
    "bare, named like a zip",
]


@pytest.mark.parametrize("train", FORMS)
@pytest.mark.parametrize("test", FORMS)
def test_single_tables_are_read_however_they_arrive(
    train: str, test: str, data: Path, tmp_path: Path, csvs: dict[str, bytes]
) -> None:
    place(data, train, "train.csv", csvs["train.csv"])
    place(data, test, "test.csv", csvs["test.csv"])
    archive.extract(Found(data), tmp_path / "raw")
    assert {path.name: path.read_bytes() for path in (tmp_path / "raw").iterdir()} == csvs
    assert len(Found(data).hashes()) == 2


def test_damaged_zip_of_a_single_table_is_named(data: Path, csvs: dict[str, bytes]) -> None:
    (data / "test.csv").write_bytes(csvs["test.csv"])
    whole = zipped({"train.csv": csvs["train.csv"]})
    (data / "train.csv.zip").write_bytes(whole[:-50])
    with pytest.raises(SourceError, match=r"train\.csv\.zip is not a whole zip archive: it is cut"):
        archive.check(Found(data))


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 15\n".encode()


def test_git_lfs_pointer_is_named(data: Path, csvs: dict[str, bytes]) -> None:
    cure = r"Git LFS pointer, which stands for the file.* Fetch the file itself with: git lfs pull"
    (data / ARCHIVE_NAME).write_bytes(POINTER)
    assert_refused(data / ARCHIVE_NAME, cure)
    (data / "test.csv").write_bytes(csvs["test.csv"])
    for name in ("train.csv.zip", "train.csv"):
        (data / name).write_bytes(POINTER)
        with pytest.raises(TableError, match=rf"{name} is not the competition's .* {cure}"):
            archive.check(Found(data))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_table_that_is_there_twice_is_refused(data: Path, csvs: dict[str, bytes]) -> None:
    path = write_zip(data / ARCHIVE_NAME, csvs)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("train.csv", b"another")
    assert_refused(path, r"it holds 2 files named train\.csv, expected one")


def patch_directory(path: Path, name: str, offset: int, value: bytes) -> None:
    """Overwrite bytes of one member's entry in the central directory, ``offset`` from its start."""
    content = bytearray(path.read_bytes())
    entry = content.rindex(name.encode()) - 46
    assert content[entry : entry + 4] == b"PK\x01\x02"
    content[entry + offset : entry + offset + len(value)] = value
    path.write_bytes(content)


def test_encrypted_table_is_refused(good: Path) -> None:
    patch_directory(good, "test.csv", 8, b"\x01\x00")
    assert_refused(good, r"its test\.csv is encrypted, expected a plain file")


def test_table_of_an_enormous_size_is_refused_without_reading_it(good: Path) -> None:
    patch_directory(good, "train.csv", 24, struct.pack("<I", 4_000_000_000))
    assert_refused(good, r"holds a train\.csv of 4,000,000,000 bytes: expected at most 400,000,000")


def test_table_larger_than_it_says_is_refused(data: Path, csvs: dict[str, bytes]) -> None:
    bomb = csvs["train.csv"] + b"0" * 20_000_000
    path = write_zip(data / ARCHIVE_NAME, csvs | {"train.csv": bomb})
    assert path.stat().st_size < 100_000
    patch_directory(path, "train.csv", 24, struct.pack("<I", len(csvs["train.csv"])))
    assert_refused(path, "is not a whole zip archive: it is cut off or damaged: Bad CRC-32")


def test_unknown_compression_is_refused(good: Path) -> None:
    patch_directory(good, "train.csv", 10, b"\x63\x00")
    assert_refused(good, "compression method is not supported")


def test_wrong_header_inside_is_refused(data: Path, csvs: dict[str, bytes]) -> None:
    swapped = dict(zip(NAMES, reversed(csvs.values()), strict=True))
    path = write_zip(data / ARCHIVE_NAME, swapped)
    expected = r"zip/train\.csv is not the competition's file: .* seem to be swapped"
    assert_refused(path, expected, TableError)


def test_wrong_header_in_a_folder_is_refused(data: Path, csvs: dict[str, bytes]) -> None:
    (data / "train.csv").write_bytes(csvs["train.csv"])
    (data / "test.csv").write_bytes(b"<html>")
    with pytest.raises(TableError, match=r"test\.csv is not .* it is a web page"):
        archive.check(Found(data))
    with pytest.raises(TableError, match=r"test\.csv is not .* it is a web page"):
        archive.extract(Found(data), data.parent / "raw")
    assert not (data.parent / "raw").exists()
