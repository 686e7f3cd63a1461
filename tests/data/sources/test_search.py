"""Where the data is found, and what is not taken for it."""

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import tables
from pipeline.data.sources import archive, search
from pipeline.data.sources.archive import ARCHIVE_NAME, Found
from pipeline.errors import SourceError

NAMES = ["train.csv", "test.csv"]
OTHER_NAMES = ["sample_submission.csv"]
THREE = NAMES + OTHER_NAMES
Put = Callable[..., Path]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture(scope="session")
def csvs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three files of the competition, of a few rows."""
    folder = tmp_path_factory.mktemp("csvs")
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    tables.write(folder / "train.csv", images, np.arange(4, dtype=np.uint8))
    tables.write(folder / "test.csv", images)
    (folder / "sample_submission.csv").write_text("ImageId,Label\n1,0\n")
    return folder


@pytest.fixture
def put(csvs: Path) -> Put:
    """Put the competition's files into a folder, bare or each zipped, or all into one archive."""

    def put(folder: Path, form: str = "bare", names: list[str] = THREE) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        if form == "archive":
            with zipfile.ZipFile(folder / ARCHIVE_NAME, "w") as file:
                for name in names:
                    file.write(csvs / name, name)
            return folder / ARCHIVE_NAME
        for name in names:
            if form == "zipped":
                with zipfile.ZipFile(folder / f"{name}.zip", "w") as file:
                    file.write(csvs / name, name)
            else:
                shutil.copy(csvs / name, folder / name)
        return folder

    return put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where a notebook finds what is attached to it; other data lies there, too."""
    root = tmp_path / "kaggle/input"
    for folder in ("titanic", "competitions/titanic"):
        (root / folder).mkdir(parents=True)
        for name in THREE:
            (root / folder / name).write_text("PassengerId,Survived\n1,0\n")
    (root / "wheels").mkdir()
    (root / "wheels/some.whl").touch()
    return root


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize("names", [[], ["README.md", "source.json"], OTHER_NAMES])
def test_nothing_is_found_where_there_is_no_trace(data: Path, names: list[str]) -> None:
    touch(data, *names)
    for name in ("raw", "prepared", "digit-recognizer"):
        (data / name).mkdir()
    assert search.find([data, data / "absent"]) is None


def test_archive_comes_before_tables_and_one_folder_before_the_next(data: Path) -> None:
    touch(data.parent, ARCHIVE_NAME)
    touch(data, *NAMES)
    assert search.find([data, data.parent]) == Found(data)
    touch(data, ARCHIVE_NAME)
    assert search.find([data, data.parent]) == Found(data / ARCHIVE_NAME)
    assert search.find([data / "absent", data.parent]) == Found(data.parent / ARCHIVE_NAME)


@pytest.mark.parametrize(("present", "absent"), [NAMES, NAMES[::-1]])
def test_one_table_without_the_other_is_an_error(data: Path, present: str, absent: str) -> None:
    touch(data, present)
    with pytest.raises(SourceError, match=f"{present} is there, but .*{absent} is not: expected b"):
        search.find([data])


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
        "train.csv.gz",
        "test.csv.dvc",
        "train.csv.part",
        "train (1).csv",
        "test-2.csv",
    ],
)
def test_near_miss_is_an_error(data: Path, name: str) -> None:
    touch(data, name)
    expected = f"{ARCHIVE_NAME} was expected, but found .*{re.escape(name)}: a second or unfinished"
    with pytest.raises(SourceError, match=expected):
        search.find([data])


def test_compressed_table_is_to_be_unpacked(data: Path) -> None:
    touch(data, "train.csv.gz")
    with pytest.raises(SourceError, match="Unpack it with gunzip, then run: dvc repro"):
        search.find([data])


def test_folder_named_like_the_archive_is_told(data: Path) -> None:
    (data / ARCHIVE_NAME).mkdir()
    with pytest.raises(SourceError, match=f"{ARCHIVE_NAME} is a folder: expected .* archive"):
        search.find([data])


def test_named_archive_is_taken_under_any_name(data: Path, put: Put) -> None:
    put(data, "archive").rename(data / "mine.zip")
    assert search.open_path(data / "mine.zip") == Found(data / "mine.zip")
    archive.check(search.open_path(data / "mine.zip"))


def test_named_folder_is_searched(data: Path) -> None:
    touch(data, *NAMES)
    assert search.open_path(data) == Found(data)


def test_named_folder_without_data_is_an_error(data: Path) -> None:
    with pytest.raises(
        SourceError, match=r"source\.path in params\.yaml is .*, which holds neither"
    ):
        search.open_path(data)


def test_named_file_that_is_not_there_is_an_error(data: Path) -> None:
    with pytest.raises(SourceError, match=r"source\.path .* but there is no such file or folder"):
        search.open_path(data / "absent.zip")


LAYOUTS = [
    "competitions/digit-recognizer",
    "digit-recognizer",
    "my-digits",
    "datasets/someone/digits",
    "datasets/someone/digits/versions/1",
    ".",
]


@pytest.mark.parametrize("form", ["bare", "zipped", "archive"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_attached_data_is_found_wherever_it_is_mounted(
    layout: str, form: str, root: Path, put: Put
) -> None:
    expected = put(root / layout, form)
    assert search.find_attached(root) == Found(expected)
    archive.check(Found(expected))


def test_attached_folder_may_be_a_link(root: Path, tmp_path: Path, put: Put) -> None:
    (root / "linked").symlink_to(put(tmp_path / "elsewhere"))
    assert search.find_attached(root) == Found(root / "linked")


def test_attached_links_in_a_circle_come_to_an_end(root: Path) -> None:
    (root / "wheels/again").symlink_to(root)
    assert search.find_attached(root) is None


def test_competitions_own_folder_comes_first(root: Path, put: Put) -> None:
    own, older, _ = (put(root / layout) for layout in LAYOUTS[:3])
    assert search.find_attached(root) == Found(own)
    shutil.rmtree(own)
    assert search.find_attached(root) == Found(older)


def test_attached_folder_with_all_three_files_comes_before_one_with_two(
    root: Path, put: Put
) -> None:
    put(root / "a", names=NAMES)
    assert search.find_attached(root) == Found(root / "a")
    put(root / "b")
    assert search.find_attached(root) == Found(root / "b")


def test_attached_twice_is_an_error_only_if_the_files_differ(root: Path, put: Put) -> None:
    put(root / "a")
    put(root / "b")
    assert search.find_attached(root) == Found(root / "a")
    with (root / "b/test.csv").open("a") as file:
        file.write("0\n")
    with pytest.raises(SourceError, match=r"once, as different files: in .*/a and .*/b\. N"):
        search.find_attached(root)


def test_half_of_the_competitions_own_folder_is_an_error(root: Path, put: Put) -> None:
    put(root / LAYOUTS[0], names=["train.csv"])
    expected = r"train\.csv is there, but .*test\.csv is not: expected both\. Attach the comp"
    with pytest.raises(SourceError, match=expected):
        search.find_attached(root)


def test_other_attached_data_is_not_taken_but_described(root: Path) -> None:
    for number in range(150):
        (root / f"wheels/{number}.whl").touch()
    (root / "zipped").mkdir()
    (root / "zipped/mine.zip").touch()
    assert search.find_attached(root) is None
    described = search.describe_attached(root)
    assert described is not None
    listed, _, problem = described.partition(". ")
    names = [f"{folder}/{name}" for folder in ("competitions/titanic", "titanic") for name in THREE]
    assert listed == f"{', '.join(sorted(names)[:5])} and 153 more"
    path = re.escape(str(root / "competitions/titanic/train.csv"))
    assert re.match(f"{path} is not the competition's file: expected the 785 columns", problem)


def test_attached_tables_that_lie_apart_are_described(tmp_path: Path, put: Put) -> None:
    for name in NAMES:
        put(tmp_path / name.removesuffix(".csv"), names=[name])
    assert search.find_attached(tmp_path) is None
    assert search.describe_attached(tmp_path) == "test/test.csv, train/train.csv"


def test_damaged_archive_that_is_attached_is_described(tmp_path: Path, put: Put) -> None:
    path = put(tmp_path / "digits", "archive")
    path.write_bytes(path.read_bytes()[:-100])
    assert search.find_attached(tmp_path) is None
    described = search.describe_attached(tmp_path)
    assert described is not None
    assert re.match(rf"digits/{ARCHIVE_NAME}\. .* is not a whole zip archive: it is", described)


def test_nothing_attached_is_nothing(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "absent"):
        assert search.find_attached(root) is None
        assert search.describe_attached(root) is None


@pytest.mark.parametrize("name", ["digit-recognizer.zip", "train.csv"])
def test_link_to_a_disk_that_is_not_mounted_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to("/not/mounted.zip")
    with pytest.raises(SourceError, match=f"{name} is a link to /not/mounted.zip, which is not th"):
        search.find([tmp_path])
