"""Processes that help: how work is spread over them, and that they end with their parent."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline import parallel
from tests.conftest import ROOT
from tests.kaggle_server import wait_until

MANY = range(200)


def where(_: int) -> int:
    return os.getpid()


def square(number: int) -> int:
    if number < 0:
        raise ValueError(number)
    return number**2


def test_many_calls_are_spread_and_their_results_come_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parallel, "count_processors", lambda: 2)
    with parallel.parallel_map(square, MANY) as results:
        assert list(results) == [number**2 for number in MANY]
    with parallel.parallel_map(where, MANY) as results:
        assert os.getpid() not in set(results)


def test_few_calls_and_one_processor_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "count_processors", lambda: 2)
    with parallel.parallel_map(where, MANY[:60]) as results:
        assert set(results) == {os.getpid()}
    monkeypatch.setattr(parallel, "count_processors", lambda: 1)
    with parallel.parallel_map(where, MANY) as results:
        assert set(results) == {os.getpid()}


def test_what_a_call_raises_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "count_processors", lambda: 2)
    with (
        pytest.raises(ValueError, match="-1"),
        parallel.parallel_map(square, [*MANY, -1]) as results,
    ):
        list(results)


PARENT = """
import sys
from pipeline import parallel
from tests.test_parallel import report

if __name__ == "__main__":
    parallel.count_processors = lambda: 2
    with parallel.parallel_map(report, [sys.argv[1]] * 200) as results:
        list(results)
"""


def report(folder: str) -> None:
    """Leave this process's number in the folder, and take long."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(60)


def test_processes_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    numbers = tmp_path / "numbers"
    numbers.mkdir()
    parent = subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", numbers],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: len(list(numbers.iterdir())) == 2, seconds=60)
        workers = [psutil.Process(int(path.name)) for path in numbers.iterdir()]
    finally:
        parent.kill()
        parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    for worker in alive:
        worker.kill()
    assert not alive
