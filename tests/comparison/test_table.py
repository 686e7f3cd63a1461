"""The file that holds a row per finished run."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from comparison import table
from comparison.settings import MOVED, RUNS
from comparison.table import Movement
from pipeline.errors import ArtifactError
from tests.comparison.rows_of_runs import ROW
from tests.conftest import ROOT, replace_text

MOVEMENT = Movement("dense_baseline", 0, 0, "shift", 2.0, 0.75)


@pytest.fixture(autouse=True)
def in_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "comparison").mkdir()
    monkeypatch.chdir(tmp_path)
    yield


def test_rows_come_back_as_they_were_added() -> None:
    assert table.read() == {}
    other = replace(ROW, seed=1, upper_bound=True, errors=0, misclassified="", log_loss=1e-6)
    table.add([other, ROW], [MOVEMENT])
    assert table.read() == {ROW.run: ROW, other.run: other}
    assert list(table.read()) == [ROW.run, other.run]
    assert table.read_movements() == [MOVEMENT]


def test_newer_row_takes_the_place_of_the_older_with_its_movements() -> None:
    plain = replace(ROW, recipe="plain")
    table.add([ROW, plain], [MOVEMENT, replace(MOVEMENT, amount=3.0)])
    newer = replace(plain, errors=1, misclassified="3:4")
    moved = replace(MOVEMENT, accuracy=0.5)
    table.add([newer], [moved])
    assert table.read() == {ROW.run: ROW, plain.run: newer}
    assert table.read_movements() == [moved]


def test_both_files_are_there_even_without_rows() -> None:
    table.add([])
    assert RUNS.read_text().startswith("network,recipe,fraction,fold,seed,")
    assert MOVED.read_text() == "network,fold,seed,moved,amount,accuracy\n"


ADD = """
import sys
from dataclasses import replace
from comparison import table
from tests.comparison.rows_of_runs import ROW
for seed in range(int(sys.argv[1]), int(sys.argv[1]) + 10):
    table.add([replace(ROW, seed=seed)])
"""


def test_processes_add_rows_at_the_same_time_and_none_is_lost() -> None:
    def add(first: int) -> None:
        subprocess.run(
            [sys.executable, "-c", ADD, str(first)], env={"PYTHONPATH": str(ROOT)}, check=True
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(0, 40, 10)))
    assert [run.seed for run in table.read()] == list(range(40))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",author,", ",auhtor,", "line 2: .* recipe is wrong"),
        (",12.5,", ",soon,", "line 2: .* seconds is wrong"),
        ("network,", "net,", "line 1: .* the columns are others: 'net', 'network'"),
        ("7:3 9:4", "7:3", "line 2: .* 2 errors, but another number of misclassified"),
        ("7:3 9:4\n", "7:3 9:4,x\n", "line 2: .* is wrong"),
    ],
)
def test_damaged_row_is_named(old: str, new: str, message: str) -> None:
    table.add([ROW])
    replace_text(RUNS, (old, new))
    with pytest.raises(ArtifactError, match=message):
        table.read()


def test_file_that_is_no_text_is_refused() -> None:
    RUNS.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtifactError, match=r"runs.csv, line 1"):
        table.read()


def test_run_with_two_rows_is_named() -> None:
    table.add([ROW])
    text = RUNS.read_text()
    RUNS.write_text(text + text.splitlines(keepends=True)[1])
    with pytest.raises(ArtifactError, match="line 3: .* a second row of dense_baseline-author-1"):
        table.read()


def test_own_rows_are_readable() -> None:
    """Those of the repository."""
    rows = table.read(ROOT / "comparison/runs.csv")
    assert all(not row.sample for row in rows.values())
    table.read_movements(ROOT / "comparison/moved.csv")
