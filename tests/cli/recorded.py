"""A project that DVC takes for finished, without a run: every output is there, and recorded."""

from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

from dvc.repo import Repo

from pipeline import params
from pipeline.files import read_json, sha256, write_json
from pipeline.networks.definition import describe_network
from pipeline.submissions.log import Entry
from pipeline.submissions.log import write as write_log
from tests.conftest import make_project, run
from tests.members import write_record as write_member
from tests.submission_files import PROVENANCE, place_submission

METRICS = Path("reports/evaluation/metrics.json")
MEMBER = "0-0-small"


def make_recorded_project(folder: Path) -> Path:
    """A clone with results that look like a run's on the sample, committed to DVC and Git."""
    project = make_project(folder)
    write_json(project / "data/source.json", {"kind": "sample"})
    describe_networks(project, on_sample=True)
    write_json(project / "data/label_corrections.json", None)
    counts = {"sample": True, "training_images": 1437, "test_images": 360}
    write_json(project / "reports/data/summary.json", counts)
    (project / "models" / MEMBER).mkdir(parents=True)
    (project / "models" / MEMBER / "model.keras").write_text("the weights")
    write_member(project / "models" / MEMBER)
    place_submission(project, provenance=replace(PROVENANCE, sample=True))
    write_metrics(project, errors=2)
    record(project)
    run(project, "git", "add", ".")
    run(project, "git", "commit", "--quiet", "--message=first results")
    return project


def describe_networks(project: Path, *, on_sample: bool = False) -> None:
    """What the source stage writes of each network."""
    settings = params.load_file(project / "params.yaml")
    epochs = settings.source.sample_epochs if on_sample else None
    for name, network in settings.networks.items():
        write_json(project / f"data/networks/{name}.json", describe_network(network, epochs))


def record(project: Path) -> None:
    """Have DVC take what is there for the outcome of the stages; what is not there gets a text."""
    with chdir(project), Repo() as repo:
        for out in repo.index.outs:
            path = Path(out.fs_path)
            if not path.exists():
                path = path if path.suffix else path / "content"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{path.name} of {out.stage.name}")
        repo.commit(force=True)


def write_metrics(project: Path, *, errors: int, **changes: Any) -> None:
    """What evaluate would say of the network that is there."""
    model = project / "models" / MEMBER / "model.keras"
    accuracy = 1 - errors / 288
    content = {
        "accuracy": accuracy,
        "accuracy_low": accuracy - 0.02,
        "accuracy_high": accuracy + 0.005,
        "errors": errors,
        "n": 288,
        "training_seconds": 90.0,
        "members": [[MEMBER, sha256(model)]],
    }
    write_json(project / METRICS, content | changes)


def write_uploads(project: Path, *entries: Entry) -> None:
    """The log of uploads."""
    write_log(project / "submissions/log.csv", list(entries))


def choose_archive(project: Path) -> None:
    """Make an archive, which is there no more, what the source stage decided for."""
    decision = {"kind": "archive", "path": "data/digit-recognizer.zip", "sha256": {}}
    write_json(project / "data/source.json", decision)
    describe_networks(project)


def use_competition_data(project: Path) -> None:
    """Make everything the outcome of a run on an archive, which is there no more."""
    choose_archive(project)
    place_submission(project, members={MEMBER: sha256(project / "models" / MEMBER / "model.keras")})
    write_metrics(project, errors=2)
    write_member(project / "models" / MEMBER, provenance=PROVENANCE)
    counts = read_json(project / "reports/data/summary.json")
    write_json(
        project / "reports/data/summary.json",
        counts | {"sample": False, "training_images": 42_000, "test_images": 28_000},
    )
