"""Damaged files for every reader, and those that were found to break one.

Keras reads its models in `checks.fuzz` alone: TensorFlow would have to be imported here.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from checks import fuzz
from checks.fuzz import CORPUS, Trial
from checks.mutations import mutate
from checks.readers import READERS, ROWS, Reader, is_equal

MakeTrial = Callable[[str], Trial]


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> MakeTrial:
    return lambda name: Trial(READERS[name], tmp_path_factory.mktemp(name))


@pytest.mark.parametrize("name", [name for name in READERS if name != "model"])
def test_damaged_file_is_refused_or_reads_as_a_valid_one(name: str, trial: MakeTrial) -> None:
    tried = trial(name)
    assert tried.run(tried.valid)

    @settings(
        max_examples=30,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.integers(0, 2**32))
    def read(seed: int) -> None:
        tried.run(mutate(tried.valid, Random(seed)))

    read()


FOUND = sorted(CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", FOUND, ids=[f"{path.parent.name}-{path.name}" for path in FOUND])
def test_file_that_once_broke_a_reader(path: Path, trial: MakeTrial) -> None:
    trial(path.parent.name).run(path.read_bytes())


def test_corpus_is_small() -> None:
    assert FOUND
    assert {path.parent.name for path in FOUND} <= set(READERS)
    assert max(path.stat().st_size for path in FOUND) <= 20_000


@pytest.mark.parametrize("kind", ["raises", "dies", "hangs"])
def test_fault_of_a_reader_is_found_and_kept(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reader is at fault with every file but the valid one."""
    valid = b"a valid file"

    def read(folder: Path) -> None:
        if (folder / "file").read_bytes() == valid:
            return
        if kind == "raises":
            raise KeyError("provenance")
        if kind == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()

    def prepare(folder: Path) -> None:
        (folder / "file").write_bytes(valid)

    reader = Reader("file", prepare, read)
    monkeypatch.setitem(READERS, "faulty", reader)
    monkeypatch.setattr(fuzz, "CORPUS", tmp_path)
    if kind == "hangs":
        monkeypatch.setattr(fuzz, "_MOST_SECONDS", 0.5)
    assert fuzz.fuzz(["faulty"], number=1, seconds=60, seed=1) == 1
    (kept,) = (tmp_path / "faulty").iterdir()
    assert kept.read_bytes() != valid
    said = {"raises": "KeyError: 'provenance'", "dies": "died: -9", "hangs": "it hangs"}[kind]
    assert said in capsys.readouterr().out


def test_same_values_are_equal_and_others_are_not() -> None:
    values = [READERS["member"], 1, True, 1.0, "1", [1], (1,), {"a": 1}, {"a": 2}, None, ROWS * 1j]
    for place, one in enumerate(values):
        assert [is_equal(one, other) for other in values].index(True) == place
        assert sum(is_equal(one, other) for other in values) == 1
    assert is_equal(float("nan"), float("nan"))
