"""What a run at Kaggle has left: fetched once, and checked as if it was made here."""

from dataclasses import replace
from pathlib import Path

from pipeline.data import dataset
from pipeline.data.tables import TEST_ROWS
from pipeline.errors import ArtifactError, KaggleError, SubmissionError
from pipeline.files import atomic_path, read_json
from pipeline.kaggle.kernels import Kernels
from pipeline.submissions import file as submission
from pipeline.submissions.file import SubmissionRecord
from pipeline.submissions.kaggle_run import LOG, NEEDED, STATE, WELCOME, KaggleRun, keep


def fetch(run: KaggleRun, folder: Path, kernels: Kernels) -> KaggleRun:
    """Fetch what a run has left, each file once.

    Raises:
        KaggleError: something is missing, or did not arrive as the run left it.
    """
    if run.step == "fetched" and all((folder / name).exists() for name in NEEDED):
        return run
    version = run.at_kaggle()
    files = kernels.output(version).files
    missing = [name for name in NEEDED if name not in files]
    if missing:
        raise KaggleError(
            f"{version} ended well but left no {' and no '.join(missing)}: expected both in the "
            f"root of /kaggle/working, found {', '.join(sorted(files)) or 'nothing'}. See "
            f"{folder / LOG}. To start it again, run the same command with --again"
        )
    for name in (*NEEDED, *WELCOME):
        if name in files and not (folder / name).exists():
            with atomic_path(folder / name) as temporary:
                kernels.download(files[name], temporary)
    if problem := _find_problem(folder):
        for name in (*NEEDED, *WELCOME):
            (folder / name).unlink(missing_ok=True)
        raise KaggleError(
            f"What arrived as the output of {version} is not what a run leaves: {problem}. Nothing "
            "was kept. Perhaps something else than Kaggle's storage answered, such as the login "
            "page of a network: open https://www.kaggle.com in a browser, log in where you are "
            "asked to, and run the same command again. If it fails again, start a new run: the "
            f"same command with --again. {version.url}"
        )
    return keep(folder / STATE, replace(run, step="fetched"))


def check(run: KaggleRun, folder: Path, provenance: Path) -> SubmissionRecord:
    """What the fetched submission came from, after everything was checked.

    Args:
        run: what was sent.
        folder: where the submission lies.
        provenance: the JSON that says which data is in use here; there may be none.

    Raises:
        SubmissionError: Kaggle would refuse it, or it came from something else than was sent.
    """
    path = folder / NEEDED[0]
    record = submission.read_record(path)
    if record is None:
        raise _foreign(run, f"{path.with_suffix('.json').name} is of another CSV than {path}")
    if record.provenance.sample:
        raise SubmissionError(
            f"{path} was made from the embedded sample: the competition's data was not attached at "
            "Kaggle. Look at the notebook's input there. To start it again, run the same command "
            f"with --again. {run.at_kaggle().url}"
        )
    submission.read(path, expected_rows=TEST_ROWS)
    labels = record.label_corrections
    for name, expected, found in (
        ("commit", run.commit, record.commit),
        ("params.yaml", run.params_sha256, record.params_sha256),
        ("labels.csv", run.labels_sha256, labels.sha256 if labels else None),
    ):
        if found != expected:
            raise _foreign(run, f"expected {name} {_short(expected)}, found {_short(found)}")
    if provenance.exists():
        in_use = dataset.read_provenance(provenance)
        if not in_use.sample and in_use != record.provenance:
            raise _foreign(run, f"expected {in_use}, as is in use here, found {record.provenance}")
    return record


def _find_problem(folder: Path) -> str | None:
    """Why what was fetched cannot be from a run; None if it can."""
    for path in (folder / name for name in (*NEEDED, *WELCOME) if name.endswith(".json")):
        if path.exists() and not _is_json(path):
            return f"{path.name} is not JSON"
    try:
        record = submission.read_record(folder / NEEDED[0])
    except ArtifactError:
        return f"{NEEDED[1]} does not say what a submission came from"
    return None if record else f"{NEEDED[1]} is of another CSV than {NEEDED[0]}"


def _is_json(path: Path) -> bool:
    try:
        read_json(path)
    except ArtifactError:
        return False
    return True


def _short(text: str | None) -> str:
    digest, plus, dirty = (text or "none").partition("+")
    return digest[:8] + plus + dirty


def _foreign(run: KaggleRun, problem: str) -> SubmissionError:
    return SubmissionError(
        f"The submission of {run.at_kaggle()} did not come from what was sent: {problem}. It is "
        "not to be submitted. If the notebook was changed at Kaggle, start it again: the same "
        f"command with --again. {run.at_kaggle().url}"
    )
