"""Real DVC on the embedded sample, in temporary clones; processes killed for real."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from dvc.repo import Repo

from pipeline.data import tables
from pipeline.data.dataset import load_labelled, load_test, load_training
from pipeline.ensemble.averaging import predict_probabilities
from pipeline.files import read_json
from pipeline.networks.record import read_record
from pipeline.networks.trained import load_network
from pipeline.training.state import TrainingState
from tests.cli.running import digits
from tests.conftest import ROOT, add_networks, environment, make_project, run, set_params
from tests.documentation import PAGES, commands, is_output, shown_runs
from tests.kaggle_server import wait_until

MEMBER = "0-0-small"
STAGE = f"train@{MEMBER}"
PATIENCE_SECONDS = 240
LABELS_HEADER = "row,label,verdict,correction\n"

pytestmark = pytest.mark.usefixtures("all_processors")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which ``dvc repro`` has run, its results committed."""
    project = make_project(tmp_path_factory.mktemp("finished") / "project")
    output = run(project, "dvc", "repro")
    assert "THIS RUN USES THE EMBEDDED SAMPLE" in output
    run(project, "git", "add", ".")
    run(project, "git", "commit", "--quiet", "--message=results")
    return project


@pytest.fixture
def project(finished: Path) -> Iterator[Path]:
    """The finished clone, its files put back afterwards; tests that only read take `finished`."""
    yield finished
    run(finished, "git", "checkout", "--quiet", ".")
    run(finished, "git", "clean", "--quiet", "--force", "pipeline")
    with chdir(finished), Repo() as repo:
        repo.checkout(force=True)


Output = Callable[..., str]


@pytest.fixture
def output(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Output:
    """Runs ``digits`` in the finished clone, in this process, and gives what it prints."""
    monkeypatch.chdir(finished)
    for name, value in environment(finished).items():
        monkeypatch.setenv(name, value)

    def of(*arguments: str, status: int = 0) -> str:
        capsys.readouterr()
        assert digits(monkeypatch, *arguments) == status
        return "".join(capsys.readouterr())

    return of


def stages_run(output: str) -> list[str]:
    return re.findall(r"Running stage '([^']+)'", output)


def test_submission_of_the_sample_is_complete_and_refused(finished: Path) -> None:
    lines = (finished / "submissions/submission.csv").read_text().splitlines()
    assert len(lines) == 361
    assert "made from the embedded sample" in run(finished, "digits", "check", status=1)


def test_report_says_that_it_is_of_the_sample(finished: Path) -> None:
    assert "THIS RUN USES THE EMBEDDED SAMPLE" in (finished / "reports/report.html").read_text()
    assert "**The embedded sample**" in (finished / "reports/model_card.md").read_text()


def test_errors_are_readable_in_a_terminal(project: Path, output: Output) -> None:
    shown = run(project, "digits", "errors")
    summary = read_json(project / "reports/evaluation/metrics.json")
    assert f"{summary['errors']} errors in 288 held-out images" in shown
    assert re.findall(r"^ +(\d)  ", shown, re.MULTILINE) == list("0123456789")
    assert "other networks" not in shown
    set_params(project, ("seeds: [0]", "seeds: [1]"))
    assert "params.yaml lists other networks than were evaluated" in output("errors")


def test_errors_against_an_equal_revision_are_none(finished: Path, output: Output) -> None:
    shown = output("errors", "--against", "HEAD")
    assert "workspace compared with HEAD, on the 288 images held out in both" in shown
    assert "could be chance (McNemar's exact test: p = 1.000)" in shown
    assert "corrected, by row of train.csv (true: before → after): none" in shown
    assert "note:" not in output("compare")
    page = (finished / "reports/compare.html").read_text(encoding="utf-8")
    assert "No setting differs." in page
    assert "The code of workspace is that of HEAD." in page
    assert "Learning curves of the runs" in page
    shown = output("errors", "--against", "no-such-revision", status=1)
    assert "error: no-such-revision is no commit, branch, tag or experiment" in shown


def test_second_run_runs_nothing_but_source(project: Path) -> None:
    assert stages_run(run(project, "dvc", "repro")) == ["source"]


def test_deleted_csv_comes_back_without_downloading(project: Path) -> None:
    path = project / "data/raw/train.csv"
    content = path.read_bytes()
    path.unlink()
    output = run(project, "dvc", "repro", "download")
    assert "Stage 'download' is cached - skipping run" in output
    assert path.read_bytes() == content


def test_colours_and_messages_retrain_nothing(project: Path) -> None:
    package = project / "pipeline"
    for name in ("plots/canvas", "errors", "stages/__init__", "architectures/__init__"):
        with (package / f"{name}.py").open("a") as file:
            file.write("\nCHANGED = True\n")
    assert "up to date" in run(project, "dvc", "status", STAGE)
    with (package / "training/loop.py").open("a") as file:
        file.write("\nCHANGED = True\n")
    assert "pipeline/training" in run(project, "dvc", "status", STAGE)


def test_number_of_epochs_on_the_sample_trains_again(project: Path) -> None:
    set_params(project, ("sample_epochs: 8", "sample_epochs: 7"))
    assert STAGE in plan(project)


def changed(project: Path) -> set[str]:
    """The stages that DVC calls out of date."""
    return set(json.loads(run(project, "dvc", "status", "--json")))


def test_corrected_labels_rerun_what_follows_and_their_removal_takes_it_back(
    project: Path,
) -> None:
    train, labels = project / "data/prepared/train.npz", project / "data/labels.csv"
    before, given = train.read_bytes(), load_labelled(train).labels
    labels.write_text(f"{LABELS_HEADER}7,{given[7]},wrong,{(given[7] + 1) % 10}\n")
    assert stages_run(run(project, "dvc", "repro", "prepare")) == ["source", "prepare"]
    corrected = train.read_bytes()
    assert load_training(train).labels[7] == (given[7] + 1) % 10
    assert {STAGE, "evaluate", "predict", "report"} <= changed(project)

    labels.write_text(f"{LABELS_HEADER}7,{(given[7] + 1) % 10},right,\n")
    output = run(project, "dvc", "repro", status=255)
    assert f"data/labels.csv, line 2: row 7 has the label {given[7]} in train.csv" in output
    assert train.read_bytes() == corrected, "it stops before anything is deleted"

    labels.unlink()
    output = run(project, "dvc", "repro")
    assert stages_run(output) == ["source"]
    assert train.read_bytes() == before
    assert changed(project) <= {"source"}


def plan(project: Path) -> list[str]:
    """The stages that would run; the source stage has to describe new networks first."""
    run(project, "dvc", "repro", "source")
    return stages_run(run(project, "dvc", "repro", "--dry"))


def contribute(project: Path, recipe: str, name: str, mapping: str) -> str:
    """Follow a recipe of CONTRIBUTING.md, its file and its line with an import; give the file."""
    _, _, section = (ROOT / "CONTRIBUTING.md").read_text().partition(f"\n## {recipe}\n")
    section = section.partition("\n## ")[0]
    file, line = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (project / mapping / f"{name}.py").write_text(file)
    path = project / mapping / "__init__.py"
    module = f"{mapping.replace('/', '.')}.{name}"
    text = path.read_text().replace("    }\n)", f"{line}    }}\n)", 1)
    head, first, tail = text.partition("\nfrom pipeline.")
    path.write_text(f"{head}\nfrom {module} import {name}{first}{tail}")
    return str(file)


def test_contributed_architecture_and_transform_train_only_themselves(project: Path) -> None:
    """And labels that are found to be right train nothing."""
    file = contribute(project, "An architecture", "wide_view", "pipeline/architectures")
    shown = run(project, "python", "-m", "pipeline.cli", "architectures", "wide_view")
    parameters = re.search(r"; ([\d,]+) parameters\.", file)
    assert parameters
    assert f"wide_view: {parameters[1]} parameters" in shown

    contribute(project, "A transform", "thicken", "pipeline/data/transforms")
    train, labels = project / "data/prepared/train.npz", project / "data/labels.csv"
    before, given = train.read_bytes(), load_labelled(train).labels
    labels.write_text(f"{LABELS_HEADER}7,{given[7]},right,\n")
    assert stages_run(run(project, "dvc", "repro", "prepare")) == ["source", "prepare"]
    assert train.read_bytes() == before
    assert changed(project) - {"source"} == {"evaluate", "predict", "report"}

    labels.unlink()
    added = {"wide": "wide_view, [[]]", "thick": "pooled_cnn, [[], [thicken]]"}
    set_params(project, add_networks(**added))
    trained = {stage for stage in plan(project) if stage.startswith("train")}
    assert trained == {"train@0-0-thick", "train@0-0-wide"}


def test_contributed_score_is_on_the_page_and_retrains_nothing(project: Path) -> None:
    contribute(project, "A score", "top_2_accuracy", "pipeline/evaluation/scores")
    planned = plan(project)
    assert "evaluate" in planned
    assert not [stage for stage in planned if stage.startswith("train")]
    run(project, "dvc", "repro", "--single-item", "evaluate", "report")
    scores = read_json(project / "reports/evaluation/metrics.json")["scores"]
    assert 0.9 < scores["top_2_accuracy"] <= 1
    for name in ("report.html", "model_card.md"):
        assert "top 2 accuracy" in (project / "reports" / name).read_text()


@pytest.mark.parametrize(
    ("command", "printed"),
    [(command, output) for page in PAGES for command, output in shown_runs(page)],
    ids=[f"{page.name}: {' '.join(command)}" for page in PAGES for command, _ in shown_runs(page)],
)
def test_pages_show_what_commands_print(command: list[str], printed: str, finished: Path) -> None:
    output = run(finished, *command)
    output = re.sub(r"^warning: the code of .*\n", "", output)  # the tests' environment is ROOT's
    assert is_output(printed, output), output


def test_cheap_commands_of_the_pages_run(project: Path, output: Output) -> None:
    shown = {tuple(words) for page in PAGES for _, words in commands(page)}
    cheap = ("digits errors", "digits profile", "digits runs", "digits status", "dvc metrics")
    found = [words for words in sorted(shown) if " ".join(words).startswith(cheap)]
    assert len(found) >= len(cheap)
    for program, *arguments in found:
        output(*arguments) if program == "digits" else run(project, program, *arguments)


def test_other_seeds_and_preprocessing_train_only_themselves(project: Path) -> None:
    assert "up to date" in run(project, "dvc", "status", STAGE)
    wide = add_networks(wide="pooled_cnn, [[], [deskew, normalize_width]]")
    set_params(project, wide, ("seeds: [0]", "seeds: [0, 1]"))
    planned = plan(project)
    trained = {stage for stage in planned if stage.startswith(("prepare", "train"))}
    assert trained == {"train@0-0-wide", "train@0-1-small", "train@0-1-wide"}


def test_typing_mistake_stops_before_anything_is_deleted(project: Path) -> None:
    set_params(project, ("batch_size: 128", "batchsize: 128"))
    output = run(project, "dvc", "repro", status=255)
    assert "train.batchsize: no such key (did you mean 'batch_size'?), expected " in output
    assert "Traceback" not in output
    for path in (f"models/{MEMBER}/model.keras", "data/raw/train.csv", "reports/report.html"):
        assert (project / path).exists()


def test_failed_stage_names_what_brings_its_results_back(project: Path) -> None:
    (project / "pipeline/stages/report.py").write_text(
        "from pipeline import stages\nfrom pipeline.files import missing_artifact\n"
        "def main():\n    raise missing_artifact(stages.EVALUATION)\n"
        "stages.run(main)\n"
    )
    output = run(project, "dvc", "repro", status=255)
    assert "error: reports/evaluation is missing: an earlier stage writes it" in output
    remedy = re.search(r"come back with: (.*)", output)
    assert remedy
    assert not (project / "reports/report.html").exists()
    assert (project / "reports/evaluation/metrics.json").exists()
    run(project, *remedy.group(1).split())
    assert (project / "reports/report.html").exists()


def test_files_put_into_the_raw_folder_are_not_lost(project: Path) -> None:
    mine = project / "data/raw/mine.csv"
    mine.write_text("precious")
    output = run(project, "dvc", "repro", status=255)
    assert "data/raw/mine.csv is not what the download stage put there" in output
    assert mine.read_text() == "precious"
    mine.unlink()


def test_plots_and_metrics_work_without_a_network(project: Path) -> None:
    run(project, "dvc", "plots", "show")
    page = (project / "dvc_plots/index.html").read_text()
    assert page.count("<img") == 12
    shown = run(project, "dvc", "metrics", "show")
    assert "accuracy" in shown
    assert not re.search(r"members\.|predictions|[0-9a-f]{64}", shown)
    assert run(project, "dvc", "metrics", "diff").strip() == ""
    shutil.rmtree(project / "dvc_plots")


@pytest.fixture
def untrained(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished clone in which the network has yet to be trained."""
    copy = tmp_path / "project"
    shutil.copytree(finished, copy, symlinks=True)
    shutil.rmtree(copy / "models")
    shutil.rmtree(copy / ".dvc/cache/runs")
    lock = (copy / "dvc.lock").read_text()
    (copy / "dvc.lock").write_text(re.sub(rf"  {STAGE}:\n(?:    .*\n|  - .*\n)*", "", lock))
    return copy


@contextmanager
def started(
    project: Path, log: Path, prepare: Callable[[], None] | None = None
) -> Iterator[psutil.Popen]:
    """``dvc repro`` of the training stage, running; whatever is left of it is killed afterwards.

    Args:
        project: where it runs.
        log: what it prints.
        prepare: is called in its process first.
    """
    with log.open("w") as file:
        process = psutil.Popen(
            ["dvc", "repro", STAGE],
            cwd=project,
            env=environment(project),
            preexec_fn=prepare,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        for left in [*process.children(recursive=True), process] if process.is_running() else []:
            left.kill()
        process.wait()


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def trainer_of(process: psutil.Popen) -> psutil.Process:
    return next(
        child
        for child in process.children(recursive=True)
        if "pipeline.stages.train" in child.cmdline() and "python" in child.name()
    )


def assert_equal_training(project: Path, undisturbed: Path) -> None:
    """Equal conditions, and equal weights and probabilities of the test images, bit for bit."""
    records = [read_record(folder / "models" / MEMBER) for folder in (project, undisturbed)]
    assert records[0].conditions == records[1].conditions
    networks = [load_network(folder / "models" / MEMBER) for folder in (project, undisturbed)]
    weights = (network.model.get_weights() for network in networks)
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    images = load_test(undisturbed / "data/prepared/test.npz").images
    ours, theirs = (predict_probabilities(network, images) for network in networks)
    np.testing.assert_array_equal(ours, theirs)


def test_training_ends_the_same_whatever_happens_to_it(
    untrained: Path, finished: Path, tmp_path: Path
) -> None:
    """A network that was never disturbed, on all cores, has the same weights."""
    killed, orphaned = tmp_path / "killed", tmp_path / "orphaned"
    interrupt_trainer(untrained, tmp_path / "interrupted")
    kill_trainer_with_helper(untrained, killed)
    kill_dvc_alone(untrained, orphaned, tmp_path / "waiting")
    told = re.findall(rf"{MEMBER}  epoch +(\d+)/", killed.read_text())
    (continued_after,) = re.findall(
        rf"{MEMBER}: continuing after epoch (\d+)", orphaned.read_text()
    )
    assert int(continued_after) >= max(map(int, told))
    assert_equal_training(untrained, finished)
    assert stages_run(run(untrained, "dvc", "repro", STAGE)) == ["source"]


def interrupt_trainer(project: Path, log: Path) -> None:
    """Ctrl-C after an epoch."""
    with started(project, log) as dvc:
        wait_for(log, "epoch  1/")
        trainer_of(dvc).send_signal(signal.SIGINT)
        assert dvc.wait(PATIENCE_SECONDS) != 0
    assert "exited with 130" in log.read_text()
    assert STAGE not in (project / "dvc.lock").read_text()


def kill_trainer_with_helper(project: Path, log: Path) -> None:
    """Another core trains what comes next, until the trainer is gone."""
    following, one, two = "0-1-small", "seeds: [0]", "seeds: [0, 1]"
    set_params(project, (one, two))
    with started(project, log) as dvc:
        wait_for(log, f"{MEMBER}  epoch")
        time.sleep(random.uniform(0, 0.3))
        trainer = trainer_of(dvc)
        trainer.suspend()
        (helper,) = trainer.children()
        states = project / "models/.training"
        wait_until(lambda: list(states.glob(f"{following}.*.npz")), seconds=PATIENCE_SECONDS)
        (state,) = states.glob(f"{following}.*.npz")
        epochs = len(TrainingState.load(state).history)
        trainer.kill()
        assert dvc.wait(PATIENCE_SECONDS) != 0
        helper.wait(PATIENCE_SECONDS)
    assert len(TrainingState.load(state).history) <= epochs + 2
    set_params(project, (two, one))


def kill_dvc_alone(project: Path, log: Path, waiting: Path) -> None:
    """The trainer outlives DVC, on one core, which a busy process shares; the next run waits."""
    one_core = partial(os.sched_setaffinity, 0, {min(os.sched_getaffinity(0))})
    with started(project, log, one_core) as dvc:
        wait_for(log, "continuing after epoch")
        orphan = trainer_of(dvc)
        endless = [sys.executable, "-c", "while True: pass"]
        busy = psutil.Popen(endless, preexec_fn=one_core)
        try:
            wait_for(log, f"{MEMBER}  epoch")
            time.sleep(random.uniform(0, 0.5))
            for process in (orphan, busy):
                process.suspend()
            dvc.send_signal(signal.SIGKILL)
            dvc.wait()
            with started(project, waiting) as second:
                wait_for(waiting, "waiting for it to end")
                for process in (orphan, busy):
                    process.resume()
                assert second.wait(PATIENCE_SECONDS) == 0, waiting.read_text()
        finally:
            busy.kill()
            busy.wait()


@pytest.fixture
def with_archive(tmp_path: Path) -> Path:
    """A clone with a small archive of the competition's form in data/."""
    project = make_project(tmp_path / "project")
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    tables.write(tmp_path / "train.csv", images, np.arange(20, dtype=np.uint8) % 10)
    tables.write(tmp_path / "test.csv", images)
    (project / "data").mkdir()
    with zipfile.ZipFile(project / "data/digit-recognizer.zip", "w") as archive:
        for name in ("train.csv", "test.csv"):
            archive.write(tmp_path / name, name)
    return project


def test_experiment_in_a_copy_uses_the_same_data(with_archive: Path) -> None:
    output = run(with_archive, "dvc", "exp", "run", "--temp", "download")
    assert "data/raw: the competition's data" in output

    run(with_archive, "dvc", "repro", "download")
    decided = (with_archive / "data/source.json").read_bytes()
    output = run(
        with_archive, "dvc", "exp", "run", "--temp", "--name=trial", "-S", "seed=1", "download"
    )
    assert "data source: data/digit-recognizer.zip" in output
    assert "Stage 'download' is cached" in output
    assert (with_archive / "data/source.json").read_bytes() == decided


def test_data_stays_when_the_archive_is_gone(with_archive: Path) -> None:
    run(with_archive, "dvc", "repro", "download")
    (with_archive / "data/digit-recognizer.zip").unlink()
    output = run(with_archive, "dvc", "repro", "download")
    assert "no longer there; using what was read" in output
    assert stages_run(output) == ["source"]


def test_tree_without_git_works(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", git=False)
    run(project, "dvc", "repro", "download")
    assert (project / "data/raw/provenance.json").exists()


def test_another_python_than_that_of_the_project_is_explained(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", git=False)
    output = run(project, "python", "-S", "-m", "pipeline.stages.source", status=1)
    assert "which lacks the project's packages. Run the pipeline with `make`" in output
