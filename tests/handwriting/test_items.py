"""What arguments stand for: pictures, folders, tables; and what is said of those that cannot be."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.data import tables
from pipeline.errors import PictureError, TableError
from pipeline.handwriting.find_digit import Glyph, Problem
from pipeline.handwriting.items import Item, gather
from tests.handwriting.test_pictures import PNG


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*names: str, content: bytes = PNG) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)


def items(*arguments: str) -> list[Item]:
    return gather(arguments, lambda: b"from stdin")[0]


def reason(argument: str) -> str:
    (item,) = items(argument)
    assert isinstance(item.source, PictureError | TableError)
    return str(item.source)


def test_arguments_keep_their_order() -> None:
    write("b.png", "in/a.png")
    found = items("b.png", "-", "in")
    assert [item.name for item in found] == ["b.png", "standard input", "in/a.png"]
    assert [item.source for item in found] == [Path("b.png"), b"from stdin", Path("in/a.png")]


def test_folder_is_searched_and_hidden_files_are_not() -> None:
    write("in/x.png", "in/deep/y.PNG", "in/.hidden/z.png", "in/.z.png")
    assert [item.name for item in items("in")] == ["in/deep/y.PNG", "in/x.png"]


def test_files_of_other_kinds_are_counted() -> None:
    write("in/x.png", "in/photo")
    write("in/scan.pdf", "in/photo.heic", "in/notes.txt", "in/data.csv", content=b"no picture")
    found, ignored = gather(["in"], lambda: b"")
    assert [item.name for item in found] == ["in/photo", "in/photo.heic", "in/scan.pdf", "in/x.png"]
    assert ignored == [Path("in/data.csv"), Path("in/notes.txt")]


def test_folders_named_by_digit_give_labels() -> None:
    write("in/7/x.png", "in/10/x.png", "in/x.png")
    labels = {item.name: item.label for item in items("in")}
    assert labels == {"in/10/x.png": None, "in/7/x.png": 7, "in/x.png": None}


@pytest.mark.parametrize("name", ["index.csv", "labels.csv"])
def test_table_in_a_folder_gives_labels(name: str) -> None:
    write("in/x.png")
    write(f"in/{name}", content=b"path,label,writer\nx.png,2,ann\ngone.png, 3,bob\n")
    write("in/unlisted.png")
    read, ignored = gather(["in"], bytes)
    found = [(item.source, item.label) for item in read]
    assert found == [(Path("in/x.png"), 2), (Path("in/gone.png"), 3)]
    assert ignored == [Path("in/unlisted.png")]


def test_blanks_around_the_cells_of_a_table_do_not_count() -> None:
    write("in/x.png", "in/a b.png")
    write("in/index.csv", content=b"path ,label \nx.png ,3 \n ./a b.png,4\n")
    read, ignored = gather(["in"], bytes)
    assert [(item.source, item.label) for item in read] == [
        (Path("in/x.png"), 3),
        (Path("in/a b.png"), 4),
    ]
    assert ignored == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label\n", "index.csv lists no picture"),
        (
            "file,digit\nx.png,2\n",
            "expected the columns path and label once each, found file, digit",
        ),
        ("path,label,label\nx.png,2,3\n", "once each, found path, label, label"),
        ("path,label\nx.png,2\nx.png,3\n", "index.csv, line 3: x.png is listed twice"),
        ("path,label\nx.png,2\n./x.png,2\n", "index.csv, line 3: x.png is listed twice"),
        ("path,label\nx.png,2\nin/../x.png ,2\n", "index.csv, line 3: x.png is listed twice"),
        ("path,label\n ,2\n", "index.csv, line 2: expected a path and a label, found no path"),
        ("label,path\n3\n", "index.csv, line 2: expected a path and a label, found no path"),
        (
            'path,label\n"x.png,2\nx.png,3\n',
            "index.csv, line 2: expected a label from 0 to 9, found ''",
        ),
        ("path,label\nx.png,two\n", "index.csv, line 2: expected a label from 0 to 9, found 'two'"),
        (
            "path,label\ncaf\xe9.png,2\n",
            "index.csv is not UTF-8 (byte 14): save it as CSV in UTF-8",
        ),
    ],
)
def test_index_of_another_kind_is_explained(content: str, message: str) -> None:
    write("in/x.png")
    write("in/index.csv", content=content.encode("latin-1"))
    assert message in reason("in")


def test_rows_of_tables_are_images() -> None:
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 9:19, 14] = 255
    tables.write(Path("test.csv"), images, None)
    tables.write(Path("train.csv"), images, np.array([1, 0], np.uint8))
    unlabelled, labelled = items("test.csv"), items("train.csv")
    assert [item.name for item in unlabelled] == ["test.csv ImageId 1", "test.csv ImageId 2"]
    assert [item.name for item in labelled] == ["train.csv row 0", "train.csv row 1"]
    assert [item.label for item in unlabelled + labelled] == [None, None, 1, 0]
    glyphs = [item.source for item in unlabelled if isinstance(item.source, Glyph)]
    np.testing.assert_array_equal([glyph.image for glyph in glyphs], images)
    assert [glyph.problem for glyph in glyphs] == [None, Problem.BLANK]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'"path","label"\na.png,7\n', "labels pictures: a folder is read with its index.csv or"),
        (b"path, label\na.png,7\n", "Name the folder: in"),
        (b"5,0,255\n", "begins with numbers: expected a line with the names of the columns"),
        (b"a,b\n1,2\n", "784 columns are missing, 'pixel0' first"),
    ],
)
def test_table_of_another_kind_is_explained(content: bytes, message: str) -> None:
    write("in/some.csv", content=content)
    assert message in reason("in/some.csv")


def test_what_cannot_be_read_is_explained() -> None:
    Path("empty").mkdir()
    assert "empty holds no picture: expected files that end in .apng" in reason("empty")
    assert "gone.csv does not exist" in reason("gone.csv")
    assert "An empty name was given" in reason("")
    for address in ("https://example.org/a.png", "HTTP://example.org/a.png", "file:///tmp/a.png"):
        assert f"{address} is an address: download the picture" in reason(address)
