"""The two CSVs: what is merely unusual is read, what is wrong is named by line and column."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.data import table_cells, tables
from pipeline.data.dataset import Images, Labels
from pipeline.data.tables import TRAIN_COLUMNS
from pipeline.errors import ArtifactError, TableError

REMEDY = r"Replace the archive or CSVs that it came from, .*, then run: dvc repro$"


def draw_digits(count: int, seed: int = 0) -> tuple[Images, Labels]:
    """Random images in which cells of one, two and three characters are all frequent."""
    generator = np.random.default_rng(seed)
    images = generator.choice(
        np.array([0, 5, 10, 99, 100, 199, 200, 255], dtype=np.uint8), (count, 28, 28)
    )
    return images, generator.integers(0, 10, count, dtype=np.uint8)


@pytest.fixture
def train(tmp_path: Path) -> Path:
    """A good ``train.csv`` of five rows."""
    tables.write(tmp_path / "train.csv", *draw_digits(5))
    return tmp_path / "train.csv"


def assert_refused(path: Path, expected: str, *, read: Callable[..., object] | None = None) -> None:
    """Reading must fail with one paragraph that names the file and matches ``expected``."""
    with pytest.raises(TableError, match=expected) as caught:
        (read or tables.read_train)(path, expected_rows=None)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.isprintable()
    assert len(message) < 600
    assert re.search(REMEDY, message)


def assert_reads_as(path: Path, images: Images, labels: Labels) -> None:
    found_images, found_labels = tables.read_train(path, expected_rows=len(labels))
    np.testing.assert_array_equal(found_images, images)
    np.testing.assert_array_equal(found_labels, labels)
    assert found_images.dtype == found_labels.dtype == np.uint8


def set_cell(path: Path, line: int, column: str, cell: str) -> None:
    """Replace one cell; ``line`` counts from 1, the header's."""
    lines = path.read_text().split("\n")
    cells = lines[line - 1].split(",")
    cells[TRAIN_COLUMNS.index(column)] = cell
    lines[line - 1] = ",".join(cells)
    path.write_text("\n".join(lines))


def test_written_digits_come_back(tmp_path: Path) -> None:
    images, labels = draw_digits(20)
    tables.write(tmp_path / "train.csv", images, labels)
    tables.write(tmp_path / "test.csv", images)
    assert_reads_as(tmp_path / "train.csv", images, labels)
    found = tables.read_test(tmp_path / "test.csv", expected_rows=20)
    np.testing.assert_array_equal(found, images)


def test_written_file_has_the_form_that_kaggle_serves(tmp_path: Path) -> None:
    images, labels = draw_digits(2)
    tables.write(tmp_path / "train.csv", images, labels)
    rows = [",".join(map(str, [labels[row], *images[row].ravel()])) for row in (0, 1)]
    header = ",".join(["label", *(f"pixel{index}" for index in range(784))])
    assert (tmp_path / "train.csv").read_bytes().decode() == "\n".join([header, *rows, ""])


@pytest.mark.parametrize("seed", range(3))
def test_both_ways_of_parsing_agree_with_pandas(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "train.csv"
    tables.write(path, *draw_digits(30, seed))
    expected = pd.read_csv(path).to_numpy()
    content = path.read_bytes()
    body = content.index(b"\n") + 1
    fast = table_cells._parse_plain(content, body, len(TRAIN_COLUMNS))
    assert fast is not None
    np.testing.assert_array_equal(fast, expected)
    np.testing.assert_array_equal(table_cells._parse_any(path, content, TRAIN_COLUMNS), expected)


def test_file_of_many_chunks_is_read_whole(tmp_path: Path) -> None:
    images, labels = draw_digits(1_000)
    tables.write(tmp_path / "train.csv", images, labels)
    assert (tmp_path / "train.csv").stat().st_size > 2 * table_cells._CHUNK_BYTES
    assert_reads_as(tmp_path / "train.csv", images, labels)


def quote(text: str) -> str:
    """The same table with every cell in quotes."""
    output = io.StringIO(newline="")
    csv.writer(output, quoting=csv.QUOTE_ALL).writerows(csv.reader(io.StringIO(text)))
    return output.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(lambda text: "\ufeff" + text, id="byte order mark"),
        pytest.param(lambda text: "\ufeff" + text.replace("\n", "\r\n"), id="both"),
        pytest.param(quote, id="quotes"),
        pytest.param(lambda text: text.replace(",", ", "), id="spaces after commas"),
        pytest.param(lambda text: text.removesuffix("\n"), id="no final newline"),
        pytest.param(lambda text: re.sub(r",(?=\d)", ",00", text), id="leading zeros"),
        pytest.param(lambda text: re.sub(r",(?=\d)", ",0000", text), id="many leading zeros"),
    ],
)
def test_unusual_form_is_read_all_the_same(train: Path, change: Callable[[str], str]) -> None:
    train.write_bytes(change(train.read_text()).encode())
    assert_reads_as(train, *draw_digits(5))


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("text", "'text'"),
        ("256", "'256'"),
        ("999", "'999'"),
        ("1000", "'1000'"),
        ("1.5", "'1.5'"),
        ("-1", "'-1'"),
        ("+1", r"'\+1'"),
        ("1e2", "'1e2'"),
        ("0x1", "'0x1'"),
        ("", "nothing"),
        (" ", "nothing"),
        ("1 2", "'1 2'"),
        ("1_0", "'1_0'"),
        ("²", "'²'"),
        ("٣", "'٣'"),
        ("\0", r"'\\x00'"),
        ("/", "'/'"),
        (":", "':'"),
        ("NaN", "'NaN'"),
        ("9" * 5_000, r"'9+\.\.\.9+'"),
        ("\0" * 5_000, r"'.+\.\.\..+'"),
    ],
)
def test_wrong_cell_is_named_by_line_and_column(train: Path, cell: str, found: str) -> None:
    set_cell(train, 4, "pixel7", cell)
    assert_refused(
        train, f"line 4, column 'pixel7': expected an integer from 0 to 255, found {found}"
    )


def test_wrong_cell_of_a_later_chunk_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    tables.write(path, *draw_digits(500))
    assert path.stat().st_size > table_cells._CHUNK_BYTES
    set_cell(path, 499, "pixel783", "x")
    assert_refused(path, "line 499, column 'pixel783': expected .* found 'x'")


@pytest.mark.parametrize("label", [10, 99, 255])
def test_label_that_is_no_digit_is_named_by_line(train: Path, label: int) -> None:
    set_cell(train, 3, "label", str(label))
    assert_refused(
        train, rf"1 label that is no digit: expected 0 to 9, found {label} first, on line 3"
    )


def drop(index: int) -> Callable[[list[str]], list[str]]:
    return lambda names: names[:index] + names[index + 1 :]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (drop(0), "its header is that of test.csv: train and test seem to be swapped"),
        (drop(5), r"1 column is missing, 'pixel4' first"),
        (lambda names: names[:400], r"385 columns are missing, 'pixel399' first"),
        (lambda names: [*names, "extra"], "it has 786 columns, 'extra' among them"),
        (lambda names: [*names, "x" * 5_000], r"it has 786 columns, 'x+\.\.\.x+' among them"),
        (lambda names: [*names, "pixel3"], "it has 786 columns, 'pixel3' among them"),
        (lambda names: [*names, ""], "it has 786 columns, '' among them"),
        (lambda names: [*names[1:], "label"], "column 1 is 'pixel0', where 'label' belongs"),
        (lambda names: ["Label", *names[1:]], r"1 column is missing, 'label' first"),
        (lambda names: ["5", *map(str, range(784))], "785 column.* missing, 'label' first"),
    ],
)
def test_wrong_header_is_described(
    train: Path, change: Callable[[list[str]], list[str]], problem: str
) -> None:
    header, _, rows = train.read_text().partition("\n")
    train.write_text(",".join(change(header.split(","))) + "\n" + rows)
    expected = r"expected the 785 columns label, pixel0, … pixel783, but "
    assert_refused(train, expected + problem)


@pytest.mark.parametrize(
    ("separator", "name"),
    [
        (";", "semicolons"),
        ("\t", "tabs"),
        (" ", "spaces"),
        ("|", "bars"),
        (":", "colons"),
        ("; ", "semicolons"),
        ("^", "'\\^'"),
        ("||", r"'\|\|'"),
    ],
)
@pytest.mark.parametrize("quotes", ["", '"'])
def test_other_separator_is_named(train: Path, separator: str, name: str, quotes: str) -> None:
    names = [f"{quotes}{column}{quotes}" for column in TRAIN_COLUMNS]
    _, _, rows = train.read_text().partition("\n")
    train.write_text("\n".join([separator.join(names), rows.replace(",", separator)]))
    assert_refused(train, f"its cells are separated by {name}, where commas belong")


@pytest.mark.parametrize("cell", ["12.0", "0.0", "12,0", "1.2e1", "0.498"])
def test_decimal_number_is_named(train: Path, cell: str) -> None:
    set_cell(train, 4, "pixel7", f'"{cell}"')
    assert_refused(train, f"line 4, column 'pixel7': expected an integer .* found '{cell}'")


def test_git_lfs_pointer_is_named_with_its_own_cure(train: Path) -> None:
    train.write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 76775041\n"
    )
    expected = r"it is a Git LFS pointer, which stands for the file\. Fetch .*: git lfs pull; then"
    with pytest.raises(TableError, match=expected):
        tables.read_train(train, expected_rows=None)


def test_swapped_test_file_is_described(train: Path) -> None:
    assert_refused(train, "its header is that of train.csv", read=tables.read_test)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"\n1,2\n", "its first line is empty"),
        (b"\xef\xbb\xbf", "its first line is empty"),
        (b"<!DOCTYPE html>\n<html>", "it is a web page"),
        (b"  <html>" + b"x" * 200_000, "it is a web page"),
        (b"PK\x03\x04" + bytes(range(256)) * 10, r"it begins with b'PK.*, which is no line of a"),
        (b"\x89PNG\r\n\x1a\n", "which is no line of a CSV"),
        (b"\0" * 3_000, "which is no line of a CSV"),
        (b"x" * 200_000, "which is no line of a CSV"),
        (b"\x1f\x8b\x08\0label", "it is compressed with gzip, which gunzip unpacks"),
        ("label,pixel0\n".encode("utf-16"), "it is text in UTF-16, as spreadsheets save it"),
        ("label,pixel0\n".encode("utf-16-le"), "it is text in UTF-16, as spreadsheets save it"),
        ("label,pixel0\n".encode("utf-16-be"), "it is text in UTF-16, as spreadsheets save it"),
        (b"label,pixel0\r1,2\r", "which is no line of a CSV"),
        (b"label\tpixel0\n1\t2\n", "its cells are separated by tabs, where commas belong"),
        (b"label;pixel0\n1;2\n", "its cells are separated by semicolons, where commas belong"),
    ],
)
def test_file_of_another_kind_is_described(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "train.csv").write_bytes(content)
    assert_refused(tmp_path / "train.csv", problem)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_header_alone_is_refused(train: Path, end: str) -> None:
    train.write_bytes((train.read_text().partition("\n")[0] + end).encode())
    assert_refused(train, "has a header but no rows")


def test_row_cut_off_is_named(train: Path) -> None:
    train.write_text(train.read_text()[:-50])
    assert_refused(train, r"line 6: expected 785 cells, found 7\d\d\. .* cut off or damaged there")


def test_row_too_long_is_named(train: Path) -> None:
    train.write_text(train.read_text().replace("\n", ",0\n").replace("783,0", "783", 1))
    assert_refused(train, "line 2: expected 785 cells, found 786")


def test_two_rows_with_their_line_end_in_the_wrong_place_are_named(train: Path) -> None:
    lines = train.read_text().split("\n")
    cell, _, lines[2] = lines[2].partition(",")
    lines[1] += f",{cell}"
    train.write_text("\n".join(lines))
    assert_refused(train, "line 2: expected 785 cells, found 786")


@pytest.mark.parametrize("separator", list(". -+/;\t\0"))
def test_comma_that_is_something_else_is_refused(train: Path, separator: str) -> None:
    lines = train.read_text().split("\n")
    lines[2] = lines[2].replace(",", separator, 1)
    train.write_text("\n".join(lines))
    assert_refused(train, "line 3: expected 785 cells, found 784")


def test_line_end_that_is_a_comma_is_refused(train: Path) -> None:
    header, first, *rest = train.read_text().split("\n")
    train.write_text("\n".join([header, f"{first},{rest[0]}", *rest[1:]]))
    assert_refused(train, "line 2: expected 785 cells, found 1570")


@pytest.mark.parametrize("line", [2, 4, 7])
def test_blank_line_is_named(train: Path, line: int) -> None:
    lines = train.read_text().split("\n")
    train.write_text("\n".join([*lines[: line - 1], "", *lines[line - 1 :]]))
    assert_refused(train, f"line {line}: expected 785 cells, found a blank line")


def test_quote_without_end_is_refused(train: Path) -> None:
    set_cell(train, 3, "pixel0", '"0')
    assert_refused(train, "line 3: expected 785 cells, found 2. The file seems cut off")
    train.write_text(train.read_text() + "1," * 100_000)
    assert_refused(train, "line 3: a cell is too long, as after a quote that is not closed")


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_that_is_no_text_is_named(train: Path, mark: bytes) -> None:
    content = train.read_bytes()
    train.write_bytes(mark + content[:-2] + b"\xff\n")
    assert_refused(train, "line 6: found the byte 0xff, which is no text")


def test_hole_of_nul_bytes_is_refused(train: Path) -> None:
    content = bytearray(train.read_bytes())
    content[-3_000:] = bytes(3_000)
    train.write_bytes(content)
    assert_refused(train, r"line \d, column 'pixel\d+'|line \d: expected 785 cells")


@pytest.mark.parametrize("number", [4, 6, 42_000])
def test_wrong_number_of_rows_is_refused(train: Path, number: int) -> None:
    with pytest.raises(TableError, match=f"expected {number:,} rows, found 5. {REMEDY}"):
        tables.read_train(train, expected_rows=number)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"train\.csv is missing"):
        tables.read_train(tmp_path / "train.csv", expected_rows=None)


def test_test_file_is_checked_as_the_training_file_is(tmp_path: Path) -> None:
    path = tmp_path / "test.csv"
    tables.write(path, draw_digits(3)[0])
    path.write_text(path.read_text()[:-3] + "x\n")
    assert_refused(path, "line 4, column 'pixel78[23]'", read=tables.read_test)


def test_competition_has_the_rows_that_kaggle_states() -> None:
    assert (tables.TRAIN_ROWS, tables.TEST_ROWS) == (42_000, 28_000)
