"""A sample of the faults of file operations, and steps that do not stand them."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from checks import readers
from checks.faults import operations
from checks.faults.journal import Journal
from pipeline import stages
from pipeline.data.dataset import Provenance, TrainingDigits, UnlabelledDigits
from pipeline.ensemble.onnx import ExportedMember, ExportRecord
from pipeline.files import sha256
from tests.conftest import PARAMS, ROOT, SMALL_NETWORK
from tests.results import predict_with, write_results

pytestmark = pytest.mark.skipif(
    not operations.is_available(), reason="only Linux lets a process decide on another's calls"
)

FAULTY = {
    "torn": "Path('a').write_text('x' * 100)",
    "half-written": "Path('.a.1.partial').write_text('x'); Path('a').write_text('y')",
    "exit status 70": "try: Path('a').touch()\nexcept OSError: 1 / 0",
    "exit status 1: nothing": "try: Path('a').touch()\nexcept OSError: print('nothing'); exit(1)",
    "lost": "Path('old').unlink(); Path('new').write_text('x'); Path('old').write_text('old')",
    "it ended well with other files": "try: Path('a').touch()\nexcept OSError: pass",
    "the next run differs": "Path('a').write_text(str(len(os.listdir())))",
    "it hangs": "try: Path('a').touch()\nexcept OSError: time.sleep(100)",
    "left in the folder for temporary files: x": (
        "Path(os.environ['TMPDIR'], 'x').touch(); Path('a').touch()"
    ),
    "ENOSPC at write 1 of by_c: torn": "np.zeros(9).tofile('by_c')",
    "ENOSPC at mkdir 1 of by_child: it ended well": "subprocess.run(['mkdir', '-p', 'by_child'])",
}
"""What is wrong with a step, and the step."""

TRY = """
import io, json, os, subprocess, sys, time
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
import numpy as np
from checks.faults import catalogue, running, steps
from checks.faults import __main__ as faults
from checks.faults.journal import Journal

said = {}
for name, step in json.loads(sys.argv[1]).items():
    catalogue.PARTS, running.SECONDS = (name,), 1 if name == "it hangs" else 300
    steps.STEPS[name] = running.Step(
        lambda: Path("old").write_text("old"), partial(exec, step, globals())
    )
    with redirect_stdout(io.StringIO()) as printed:
        faults.inject([name], Journal(None))
    said[name] = printed.getvalue()
print(json.dumps(said))
"""


def python(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def write_run(folder: Path, data: TrainingDigits, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run, but for its network: an exported one that reads pixels as logits."""
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("params.yaml").write_text(PARAMS.replace(*SMALL_NETWORK))
    test = UnlabelledDigits(data.images[:20], data.provenance)
    write_results(data, test, predict_with(data.labels, {4: (9, 0.9)}))
    exported = folder / stages.EXPORTED
    exported.mkdir()
    readers.READERS["ensemble"].prepare(exported)
    model, network = stages.MODELS / "0-0-small/model.keras", exported / "0-0-small.onnx"
    (exported / "small.onnx").rename(network)
    member = ExportedMember("0-0-small", sha256(model), ((),), sha256(network))
    ExportRecord(True, (member,)).write(exported)
    return folder


@pytest.fixture
def runs(
    tmp_path: Path, training_digits: TrainingDigits, monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    """Two finished runs on different images."""
    other = replace(
        training_digits,
        images=training_digits.images[::-1].copy(),
        labels=training_digits.labels[::-1].copy(),
        provenance=Provenance(True, "c" * 64, "d" * 64),
    )
    return [
        write_run(tmp_path / name, data, monkeypatch)
        for name, data in (("first", training_digits), ("second", other))
    ]


def test_a_sample_of_faults_does_no_harm() -> None:
    done = python("-m", "checks.faults", "--number", "30", "--seed", "1", "--jobs", "1", *PARTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "30 faults, 0 with something wrong" in done.stdout


PARTS = ("source", "download", "submission", "log", "state", "digits-submit")


def test_a_sample_of_faults_of_stages_does_no_harm(runs: list[Path]) -> None:
    steps = ("predict", "explain", "report", "digits-predict")
    options = ("--number", "12", "--jobs", "1", "--runs", *map(str, runs))
    done = python("-m", "checks.faults", *steps, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 faults, 0 with something wrong" in done.stdout


@pytest.fixture(scope="module")
def found_in() -> dict[str, str]:
    """What is said of each faulty step."""
    done = python("-c", TRY, json.dumps(FAULTY))
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("problem", FAULTY)
def test_step_that_does_not_stand_a_fault_is_found(problem: str, found_in: dict[str, str]) -> None:
    assert f": {problem}" in found_in[problem] or f", {problem}" in found_in[problem]
    assert not found_in[problem].endswith(", 0 with something wrong\n")


def test_interrupted_run_goes_on_where_it_ended(tmp_path: Path) -> None:
    first = python("-m", "checks.faults", "log", folder=tmp_path)
    assert first.returncode == 0, first.stderr
    journal = tmp_path / ".faults.jsonl"
    code, *judged = journal.read_text().splitlines()
    name, fault, _ = json.loads(judged[0])
    kept = [code, json.dumps([name, fault, ["as the journal says"]]), *judged[1:5], judged[5][:9]]
    journal.write_text("\n".join(kept))
    again = python("-m", "checks.faults", "log", folder=tmp_path)
    assert f"log, {fault}: as the journal says" in again.stdout
    assert f"{len(judged)} faults, 1 with something wrong" in again.stdout
    lines = [line for line in journal.read_text().splitlines() if line.startswith("[")]
    assert len(lines) == len(judged) + 1  # the half


def test_journal_of_other_code_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        journal.note("log", "kill", ["torn"])
    with Journal(path) as journal:
        assert journal.find("log", "kill") == ["torn"]
    path.write_text(path.read_text().replace('"', '"0', 1))
    with Journal(path) as journal:
        assert journal.find("log", "kill") is None


def test_unknown_step_is_named() -> None:
    done = python("-m", "checks.faults", "trian")
    assert done.returncode == 2
    assert "there is no step trian" in done.stderr
