"""The stages of dvc.yaml, run on a few hundred images of the sample with a small network.

Two finished runs on different images are made first. A stage starts from what the stages before it
left of one run; its own results, and all later ones, are there from the other. So nothing that is
written equals what it replaces.
"""

import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from checks.faults.clockless import WHOLE_STATE
from checks.faults.running import Step, status_of
from pipeline import params, stages
from pipeline.data import tables
from pipeline.data.dataset import Provenance
from pipeline.data.sources import sample
from pipeline.ensemble.onnx import ExportedEnsemble, ExportRecord
from pipeline.errors import PipelineError
from pipeline.evaluation import metrics, predictions
from pipeline.files import read_json, sha256, write_json
from pipeline.runs import standing
from pipeline.submissions import checks
from pipeline.submissions import file as submission

MEMBER = "0-0-small"

NAMES = ("prepare", "train", "evaluate", "export", "predict", "explain", "embed", "report")
"""In the order of the pipeline."""

_ROOT = Path(__file__).parent.parent.parent
_TRAINING_ROWS, _TEST_ROWS = 300, 60

_OUTPUTS: dict[str, tuple[str, ...]] = {
    "source": ("data/source.json", "data/networks", "data/label_corrections.json", "params.yaml"),
    "download": ("data/raw",),
    "prepare": ("data/prepared", "reports/data"),
    "train": ("models",),
    "evaluate": ("reports/evaluation",),
    "export": ("exported",),
    "predict": ("reports/test", "submissions"),
    "explain": ("reports/explanation",),
    "embed": ("reports/map",),
    "report": (),
}
"""What each stage writes that others read, in the order of the pipeline."""


def write_params(path: Path, learning_rate: float) -> None:
    """Write the params.yaml of this clone, with one small network that trains for two epochs."""
    from ruamel.yaml import YAML

    yaml = YAML()
    content = yaml.load(_ROOT / "params.yaml")
    content["source"] |= {"kind": "sample", "sample_epochs": 2}
    content["networks"] = {"small": {"architecture": "dense_baseline", "preprocessing": [[]]}}
    content["ensemble"]["networks"] = ["small"]
    content["train"] |= {
        "compute_dtype": "float32",
        "decay_epochs": 1,
        "learning_rate": learning_rate,
        "max_epochs": 2,
        "validation_fraction": 0.1,
    }
    yaml.dump(content, path)


@cache
def _read_sample(folder: Path) -> tuple[Any, Any, Any]:
    folder.mkdir(parents=True)
    sample.write_tables(folder)
    images, labels = tables.read_train(folder / "train.csv", expected_rows=None)
    return images, labels, tables.read_test(folder / "test.csv", expected_rows=None)


def _write_raw(number: int, whole: Path) -> None:
    """A part of the sample, as the download stage would write it."""
    images, labels, test_images = _read_sample(whole)
    raw = stages.RAW
    raw.mkdir(parents=True)
    rows = slice(number * _TRAINING_ROWS, (number + 1) * _TRAINING_ROWS)
    tables.write(raw / "train.csv", images[rows], labels[rows])
    test_rows = slice(number * _TEST_ROWS, (number + 1) * _TEST_ROWS)
    tables.write(raw / "test.csv", test_images[test_rows])
    provenance = Provenance(True, sha256(raw / "train.csv"), sha256(raw / "test.csv"))
    write_json(raw / "provenance.json", asdict(provenance))


def run_stage(name: str) -> None:
    """Run a stage in the current folder, in this process."""
    sys.argv = [f"{name}.py", *[MEMBER][: name == "train"]]
    import_module(f"pipeline.stages.{name}").main()


def in_child(work: Callable[[], object]) -> None:
    """Do work in a forked child, so that this process starts no threads.

    Raises:
        AssertionError: the child failed; with what it printed.
    """
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            status = 70
            try:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                status = status_of(work)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        if status:
            raise AssertionError(f"without faults: {said.read().decode(errors='replace')}")


def make_run(folder: Path, number: int, whole: Path, *, learning_rate: float = 0.001) -> None:
    """Run the whole pipeline in ``folder``.

    Args:
        folder: is made.
        number: of the part of the sample that it is run on.
        whole: where the sample lies.
        learning_rate: in params.yaml.
    """
    for name in NAMES:
        import_module(f"pipeline.stages.{name}")  # once for all children
    folder.mkdir(parents=True)
    os.chdir(folder)
    write_params(Path("params.yaml"), learning_rate)
    in_child(partial(run_stage, "source"))
    _write_raw(number, whole)
    for name in NAMES:
        in_child(partial(run_stage, name))


def _prepare(name: str, runs: Sequence[Path]) -> None:
    """Lay into the current folder what a stage starts from."""
    before = list(_OUTPUTS)[: list(_OUTPUTS).index(name)]
    shutil.copytree(runs[0], ".", dirs_exist_ok=True)
    for output in (each for stage in before for each in _OUTPUTS[stage]):
        path, source = Path(output), runs[1] / output
        if source.is_dir():
            shutil.rmtree(path)
            shutil.copytree(source, path)
        elif source.exists():
            shutil.copy(source, path)


def check() -> None:
    """What is taken for belonging together does."""
    _check_submission()
    _check_score()
    _check_export()


def _check_submission() -> None:
    record = submission.read_record(stages.SUBMISSION)
    if record is None:
        return
    assert record.sha256 == sha256(stages.SUBMISSION)
    submission.read(stages.SUBMISSION, expected_rows=record.rows)
    found = checks.find_accuracy(record, stages.EVALUATION / "metrics.json")
    if found is not None:
        content = read_json(stages.EVALUATION / "metrics.json")
        assert dict(content["members"]) == record.members


def _check_score() -> None:
    """A score that is told is that of the predictions, and they are of the network at hand."""
    score, _ = standing.read_score(params.load())
    if score is None:
        return
    try:
        found = predictions.load(stages.EVALUATION / "out_of_fold.npz")
    except PipelineError:
        return
    told = metrics.summarize(found.probabilities, found.labels)
    assert (score.accuracy, score.images) == (told["accuracy"], told["n"]), "a score of others"
    assert found.members == {MEMBER: sha256(stages.MODELS / MEMBER / "model.keras")}


def _check_export() -> None:
    try:
        ensemble = ExportedEnsemble.load(stages.EXPORTED, stages.MODELS)
    except PipelineError:
        return
    assert np.isfinite(ensemble.probabilities(np.zeros((1, 28, 28), np.uint8))).all()
    for member in ExportRecord.read(stages.EXPORTED).members:
        trained = stages.MODELS / member.name / "model.keras"
        assert not trained.exists() or sha256(trained) == member.model_sha256


def make_step(name: str, runs: Sequence[Path]) -> Step:
    """The step of a stage, from two finished runs."""
    prepare, run = partial(_prepare, name, runs), partial(run_stage, name)
    import_module(f"pipeline.stages.{name}")  # once for all children
    if name == "train":
        return Step(prepare, run, check, is_between=_is_state)
    return Step(prepare, run, check)


def _is_state(name: str, content: bytes) -> bool:
    """Whether a file is a whole state of a training, as after its first epoch."""
    return "/.training/" in name and content.startswith(WHOLE_STATE)
