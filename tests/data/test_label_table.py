"""``labels.csv``, read: what is only unusual is accepted, what is wrong is named."""

import codecs
import os
import re
from pathlib import Path

import pytest

from pipeline.data import label_table
from pipeline.data.label_corrections import LabelCorrections, LabelVerdict
from pipeline.errors import ArtifactError, TableError
from pipeline.files import sha256
from tests.label_tables import BAD, GOOD, HEADER, UNUSUAL, VERDICTS

EXPECTED = (
    LabelVerdict(2, 4, 4, "wrong", 9),
    LabelVerdict(3, 14, 4, "right", None),
    LabelVerdict(4, 5, 5, "unreadable", None),
)


def read(folder: Path, content: str | bytes) -> LabelCorrections:
    path = folder / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return label_table.read(path)


def test_verdicts_are_read_with_their_lines(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert found == LabelCorrections(sha256(tmp_path / "labels.csv"), None, EXPECTED)


@pytest.mark.parametrize("content", UNUSUAL.values(), ids=UNUSUAL)
def test_what_spreadsheets_make_of_it_is_read(content: str, tmp_path: Path) -> None:
    assert read(tmp_path, content).verdicts == EXPECTED


def test_file_says_which_data_it_is_of(tmp_path: Path) -> None:
    lines = [f"{HEADER},data", *(f"{line},sample-aaaa" for line in VERDICTS)]
    assert read(tmp_path, "\n".join(lines)).data == "sample-aaaa"
    lines[2] = lines[2].replace("aaaa", "bbbb")
    expected = "line 3: expected one set of data, found sample-bbbb after sample-aaaa"
    with pytest.raises(TableError, match=expected):
        read(tmp_path, "\n".join(lines))


def test_header_alone_decides_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, f"{HEADER}\n").verdicts == ()


@pytest.mark.parametrize(("content", "problem"), BAD.values(), ids=BAD)
def test_mistakes_are_named_with_their_line(content: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=problem) as caught:
        read(tmp_path, content)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "labels.csv"))
    assert message.endswith("then run: dvc repro")
    assert len(message.removeprefix(str(tmp_path))) < 320


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (codecs.BOM_UTF16_LE + GOOD.encode("utf-16-le"), "UTF-16"),
        (b"<!doctype html>\n", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (GOOD.replace("right", "r\xefght").encode("latin-1"), "line 3: found the byte 0xef"),
    ],
)
def test_other_files_are_recognised(content: bytes, problem: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=re.escape(problem)):
        read(tmp_path, content)


def test_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").symlink_to("gone.csv")
    with pytest.raises(TableError, match="is a link to a file that is not there"):
        label_table.read(tmp_path / "labels.csv")


def test_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="is a folder; expected a CSV file"):
        label_table.read(tmp_path)


def test_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(ArtifactError, match="is a pipe, a socket or a device: expected a file"):
        label_table.read(tmp_path / "labels.csv")
