"""The archive that the user put at hand: taken whole, or refused with nothing left behind."""

import random
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import tables
from pipeline.data.sources import archive
from pipeline.data.sources.archive import ARCHIVE_NAME, Found
from pipeline.errors import PipelineError, SourceError, TableError

NAMES = ["train.csv", "test.csv"]
OTHER_NAMES = ["sample_submission.csv"]


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
    expected = rf"is not a whole zip archive: it is {problem}.* \({len(content):,} bytes; "
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


def test_tables_in_a_folder_of_the_archive_are_refused(data: Path, csvs: dict[str, bytes]) -> None:
    members = {f"digit-recognizer/{name}": content for name, content in csvs.items()}
    path = write_zip(data / ARCHIVE_NAME, members)
    assert_refused(path, r"train\.csv is not there; found digit-recognizer/train\.csv, digit-rec")


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


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize("names", [[], ["README.md", "source.json"], OTHER_NAMES])
def test_nothing_is_found_where_there_is_no_trace(data: Path, names: list[str]) -> None:
    touch(data, *names)
    for name in ("raw", "prepared", "digit-recognizer"):
        (data / name).mkdir()
    assert archive.find([data, data / "absent"]) is None


def test_archive_comes_before_tables_and_one_folder_before_the_next(data: Path) -> None:
    touch(data.parent, ARCHIVE_NAME)
    touch(data, *NAMES)
    assert archive.find([data, data.parent]) == Found(data)
    touch(data, ARCHIVE_NAME)
    assert archive.find([data, data.parent]) == Found(data / ARCHIVE_NAME)
    assert archive.find([data / "absent", data.parent]) == Found(data.parent / ARCHIVE_NAME)


@pytest.mark.parametrize(("present", "absent"), [NAMES, NAMES[::-1]])
def test_one_table_without_the_other_is_an_error(data: Path, present: str, absent: str) -> None:
    touch(data, present)
    with pytest.raises(SourceError, match=f"{present} is there, but .*{absent} is not: expected b"):
        archive.find([data])


@pytest.mark.parametrize(
    "name",
    [
        "digit-recognizer (1).zip",
        "Digit-Recognizer.zip",
        "digit-recognizer.zip.part",
        "digit-recognizer.zip.crdownload",
        "Unconfirmed 12345.crdownload",
        "digit-recognizer.tar",
        "archive.zip",
        "archive.ZIP",
        "train.csv.zip",
        "train.csv.part",
        "train (1).csv",
        "test-2.csv",
    ],
)
def test_near_miss_is_an_error(data: Path, name: str) -> None:
    touch(data, name)
    expected = f"{ARCHIVE_NAME} was expected, but found .*{re.escape(name)}: a second or unfinished"
    with pytest.raises(SourceError, match=expected):
        archive.find([data])


def test_folder_named_like_the_archive_is_a_near_miss(data: Path) -> None:
    (data / ARCHIVE_NAME).mkdir()
    with pytest.raises(SourceError, match="give it its proper name"):
        archive.find([data])


def test_named_archive_is_taken_under_any_name(data: Path, csvs: dict[str, bytes]) -> None:
    path = write_zip(data / "mine.zip", csvs)
    assert archive.open_path(path) == Found(path)
    archive.check(archive.open_path(path))


def test_named_folder_is_searched(data: Path) -> None:
    touch(data, *NAMES)
    assert archive.open_path(data) == Found(data)


def test_named_folder_without_data_is_an_error(data: Path) -> None:
    with pytest.raises(
        SourceError, match=r"source\.path in params\.yaml is .*, which holds neither"
    ):
        archive.open_path(data)


def test_named_file_that_is_not_there_is_an_error(data: Path) -> None:
    with pytest.raises(SourceError, match=r"source\.path .* but there is no such file or folder"):
        archive.open_path(data / "absent.zip")
