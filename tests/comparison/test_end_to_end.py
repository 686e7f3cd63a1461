"""Real DVC on the embedded sample: the second pipeline, killed and continued, beside the first."""

import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests.conftest import ROOT, environment, make_project, run

PATIENCE_SECONDS = 120
PIPELINE = "comparison/dvc.yaml"
ARCHITECTURES = "[dense_baseline, shallow_cnn_few_maps]"
KILLED = "dense_baseline-ours-0"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which two small networks are to be compared, its data prepared."""
    folder = make_project(tmp_path_factory.mktemp("second") / "project", git=False)
    (folder / "comparison").mkdir(exist_ok=True)
    for path in (ROOT / "comparison").glob("*.*"):
        if path.name != "dvc.lock":
            shutil.copy(path, folder / "comparison")
    (folder / "comparison/params.yaml").write_text(
        f"fold: 0\nseeds: [0]\narchitectures: {ARCHITECTURES}\n"
        "baseline: dense_baseline\n"
        "budget: {author_multiply_adds: 1.0, author_min_epochs: 1, author_max_epochs: 1, "
        "our_epochs: 10}\n"
        "robustness: {architectures: [dense_baseline], shift_pixels: [0, 6], "
        "rotation_degrees: [0, 45]}\n"
    )
    run(folder, "dvc", "repro", "prepare")
    return folder


def stages_run(output: str) -> list[str]:
    return [name.partition(":")[2] or name for name in re.findall(r"Running stage '(.+)'", output)]


def test_comparison_runs_beside_the_main_job_and_survives_a_kill(
    project: Path, tmp_path: Path
) -> None:
    kill_during(project, tmp_path / "log", f"{KILLED}  epoch   2")

    output = run(project, "dvc", "repro", PIPELINE)
    assert re.search(rf"{KILLED}: continuing after epoch \d+", output)
    assert stages_run(output) == [
        "source",
        "train@dense_baseline",
        "train@shallow_cnn_few_maps",
        "robustness@dense_baseline",
        "summarize",
    ]

    results = project / "comparison/results"
    table = pd.read_csv(results / "comparison.csv")
    assert list(zip(table["architecture"], table["recipe"], strict=True)) == [
        (name, recipe)
        for name in ("dense_baseline", "shallow_cnn_few_maps")
        for recipe in ("author", "ours")
    ]
    assert (table["images"] == 288).all()
    assert (results / "comparison.md").read_text().startswith("**This is of the embedded sample")
    moved = pd.read_csv(results / "robustness.csv").set_index(["moved", "amount"])["accuracy"]
    assert moved["shift", 0] == moved["rotation", 0] > 0.8
    assert moved["shift", 6] < 0.5
    output = run(project, "python", "-m", "comparison.publish", status=1)
    assert "is of the embedded sample" in output

    assert stages_run(run(project, "dvc", "repro", PIPELINE)) == ["source"]
    assert_root_does_not_show_it(project)
    assert_further_seed_trains_only_itself(project)


def kill_during(project: Path, log: Path, line: str) -> None:
    """Run the comparison until ``line`` is printed; then kill DVC and what it started.

    DVC goes first: while its command runs it writes nothing. Killed after the command, it may be
    about to write the file of its locks, which it does not replace in one step.
    """
    with log.open("w") as file:
        process = psutil.Popen(
            ["dvc", "repro", PIPELINE],
            cwd=project,
            env=environment(project),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while line not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
    finally:
        left = [process, *process.children(recursive=True)] if process.is_running() else []
        for each in left:
            each.send_signal(signal.SIGKILL)
        psutil.wait_procs(left, timeout=PATIENCE_SECONDS)


def assert_root_does_not_show_it(project: Path) -> None:
    planned = tell(project, "repro", "--dry")
    assert "comparison" not in planned
    assert [name.partition("@")[0] for name in stages_run(planned)][:2] == ["source", "train"]
    assert "comparison" not in tell(project, "metrics", "show")
    plots = tell(project, "plots", "show", "--json")
    assert "reports/data/class_counts.png" in plots
    assert "comparison" not in plots


def tell(project: Path, *arguments: str) -> str:
    """What DVC says, though the main job has yet to be run."""
    done = subprocess.run(
        ["dvc", *arguments],
        cwd=project,
        env=environment(project),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def assert_further_seed_trains_only_itself(project: Path) -> None:
    path = project / "comparison/params.yaml"
    path.write_text(path.read_text().replace("seeds: [0]", "seeds: [0, 1]"))
    output = run(project, "dvc", "repro", f"{PIPELINE}:train@dense_baseline")
    assert sorted(re.findall(r"(\S+)  epoch   1 ", output)) == [
        "dense_baseline-author-1",
        "dense_baseline-ours-1",
    ]
