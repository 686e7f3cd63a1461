"""Processes that help: how work is spread over them, and that they end with their parent."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing import popen_spawn_posix
from pathlib import Path

import psutil
import pytest

from pipeline import parallel
from pipeline.parallel import count_processors, helper_processes
from tests.conftest import ROOT
from tests.kaggle_server import wait_until
from tests.parallel_calls import square, square_or_die

MANY = range(200)


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "count_processors", lambda: 2)


def squares(
    arguments: Sequence[int], function: Callable[[int], tuple[int, int]] = square
) -> set[int]:
    """Have numbers squared, check the results and their order, and give the processes."""
    with parallel.parallel_map(function, arguments) as results:
        found = list(results)
    assert [result for result, _ in found] == [number**2 for number in arguments]
    return {process for _, process in found}


def test_many_calls_are_made_by_other_processes() -> None:
    assert os.getpid() not in squares(MANY)


def test_few_calls_start_no_process() -> None:
    assert squares(MANY[:60]) == {os.getpid()}


def test_one_processor_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "count_processors", lambda: 1)
    assert squares(MANY) == {os.getpid()}


def test_what_a_call_raises_arrives() -> None:
    with pytest.raises(ValueError, match="-1"):
        squares([*MANY, -1])


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "/dev/shm is missing"),
        OSError(errno.ENOSYS, "the C library has no semaphores without /dev/shm"),
        OSError(errno.EROFS, "/dev/shm is read-only"),
        OSError(errno.ENOSPC, "/dev/shm is full"),
        PermissionError(errno.EACCES, "/dev/shm is closed"),
        ImportError("this Python has no semaphores"),
    ],
    ids=str,
)
def test_threads_make_the_calls_where_there_are_no_semaphores(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("_multiprocessing.SemLock", refuse)
    assert squares(MANY) == {os.getpid()}


def test_threads_make_the_calls_where_no_process_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "too many processes")

    monkeypatch.setattr(popen_spawn_posix.Popen, "__init__", refuse)
    assert squares(MANY) == {os.getpid()}


def test_threads_make_the_calls_left_when_a_process_is_killed() -> None:
    assert os.getpid() in squares(MANY, square_or_die)


@pytest.mark.parametrize(
    ("groups", "limits", "quotas"),
    [
        ("0::/", {"cpu.max": "100000 100000"}, [1]),
        ("0::/", {"cpu.max": "150000 100000"}, [2]),
        ("0::/", {"cpu.max": "5000 100000"}, [1]),
        ("0::/", {"cpu.max": "max 100000"}, []),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, [3]),
        ("0::/a", {"a/cpu.max": "400000 100000", "cpu.max": "200000 100000"}, [4, 2]),
        ("0::/../a", {"cpu.max": "100000 100000"}, [1]),
        ("4:cpu:/\n0::/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, []),
        (
            "7:memory:/x\n4:cpu,cpuacct:/docker/1f",
            {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"},
            [1],
        ),
        ("4:cpuset:/", {"cpu/cpu.cfs_quota_us": "1000", "cpu/cpu.cfs_period_us": "1000"}, []),
    ],
)
def test_quota_of_a_container_counts(
    groups: str, limits: dict[str, str], quotas: list[int], tmp_path: Path
) -> None:
    files = {f"sys/fs/cgroup/{name}": content for name, content in limits.items()}
    for name, content in (files | {"proc/self/cgroup": groups}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    assert list(parallel._read_quotas(tmp_path)) == quotas


def test_no_quota_without_cgroups(tmp_path: Path) -> None:
    assert list(parallel._read_quotas(tmp_path)) == []


def test_quota_limits_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = count_processors()
    monkeypatch.setattr(parallel, "_read_quotas", lambda root: iter([allowed + 1]))
    assert count_processors() == allowed
    monkeypatch.setattr(parallel, "_read_quotas", lambda root: iter([allowed + 1, 1]))
    assert count_processors() == 1


PARENT = """
import sys
from pipeline import parallel
from pipeline.parallel import count_processors
from tests.parallel_calls import report

if __name__ == "__main__":
    parallel.count_processors = lambda: 2
    with parallel.parallel_map(report, [sys.argv[1]] * 200) as results:
        list(results)
"""


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


def test_lines_of_helpers_arrive_whole_on_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    lines: list[str] = []
    with helper_processes(["-c", r"print('loss \u2193 \xfc')"], 1, print_line=lines.append):
        pass
    assert lines == ["loss ↓ ü"]
