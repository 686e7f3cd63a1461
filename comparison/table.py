"""``runs.csv``: a row per finished run, which several processes and people may add to.

A row is there whole or not at all. A run has one row: a newer one takes its place.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from comparison.fingerprints import Fingerprints, fingerprint
from comparison.references import Whose
from comparison.runs import Run
from comparison.settings import MOVED, RUNS, STATES
from pipeline.errors import ArtifactError
from pipeline.files import atomic_path, corruption_as, read_bytes


@dataclass(frozen=True)
class Row:
    """What one finished run did.

    Attributes:
        network: the first five are those of `Run`.
        recipe: whose.
        fraction: of the training rows.
        fold: that scored it.
        seed: of the run.
        sample: whether the data is the embedded sample.
        parameters: how many the network has.
        multiply_adds: for one image.
        training_images: that it may have seen, with those that decided when to stop.
        epochs: that were run.
        fitted_images: in all epochs together.
        seconds: that the epochs took.
        upper_bound: whether others were at work on the machine, so that ``seconds`` are too many.
        machine: name of the processor or of the GPU.
        backend: library that Keras ran on, and versions of both.
        dtype: of the layers while they trained.
        images: of the fold.
        errors: how many of them it misclassified.
        log_loss: mean over them, natural logarithm.
        predictions: digest of the predicted digits, uint8, in the order of the fold.
        network_code: the last four are those of `Fingerprints`.
        training_code: of how it was trained.
        settings: of the recipe.
        data: of images, labels and folds.
        misclassified: ``row:digit`` for each error: the row of ``train.csv``, counted from 0, and
            the digit that was predicted; separated by spaces.
    """

    network: str
    recipe: Whose
    fraction: float
    fold: int
    seed: int
    sample: bool
    parameters: int
    multiply_adds: int
    training_images: int
    epochs: int
    fitted_images: int
    seconds: float
    upper_bound: bool
    machine: str
    backend: str
    dtype: str
    images: int
    errors: int
    log_loss: float
    predictions: str
    network_code: str
    training_code: str
    settings: str
    data: str
    misclassified: str

    @property
    def run(self) -> Run:
        """Whose row it is."""
        return Run(self.network, self.recipe, self.fraction, self.fold, self.seed)

    @property
    def fingerprints(self) -> Fingerprints:
        """Of what the run followed from."""
        return Fingerprints(self.network_code, self.training_code, self.settings, self.data)


@dataclass(frozen=True)
class Movement:
    """What the network of a run reads of moved digits.

    Attributes:
        network: the first three tell the run.
        fold: that scored it.
        seed: of the run.
        moved: ``shift`` or ``rotation``.
        amount: pixels or degrees.
        accuracy: on the moved images of the fold.
    """

    network: str
    fold: int
    seed: int
    moved: str
    amount: float
    accuracy: float

    @property
    def run(self) -> Run:
        """Whose row it belongs to."""
        return Run(self.network, "plain", 1.0, self.fold, self.seed)


Entry = TypeVar("Entry", Row, Movement)


def read(path: Path = RUNS) -> dict[Run, Row]:
    """All rows by their run, in the order of the file; empty if there is no file.

    Raises:
        ArtifactError: a line is damaged, or a run has two.
    """
    rows: dict[Run, Row] = {}
    for line, row in _read(path, Row):
        if row.errors != len(row.misclassified.split()):
            raise _damaged(path, line, f"{row.errors} errors, but another number of misclassified")
        if row.run in rows:
            raise _damaged(path, line, f"a second row of {row.run.name}")
        rows[row.run] = row
    return rows


def read_movements(path: Path = MOVED) -> list[Movement]:
    """All rows of ``moved.csv``; empty if there is no file.

    Raises:
        ArtifactError: a line is damaged.
    """
    return [movement for _, movement in _read(path, Movement)]


def add(
    rows: Iterable[Row],
    movements: Iterable[Movement] = (),
    *,
    path: Path = RUNS,
    moved: Path = MOVED,
) -> None:
    """Put rows into the file, in place of earlier ones of the same runs.

    Other processes may do the same meanwhile. Movements are written first: where there is a row,
    there are its movements.
    """
    new, further = {row.run: row for row in rows}, list(movements)
    with locked():
        if further or not moved.exists():
            replaced = {movement.run for movement in further}
            kept = [each for each in read_movements(moved) if each.run not in replaced]
            _write(moved, Movement, sorted([*kept, *further], key=_sort_key))
        _write(path, Row, sorted((read(path) | new).values(), key=_sort_key))


def _sort_key(entry: Row | Movement) -> tuple[Any, ...]:
    run = entry.run
    of_movement = (entry.moved, entry.amount) if isinstance(entry, Movement) else ()
    return run.network, run.recipe, run.fraction, run.fold, run.seed, *of_movement


@contextmanager
def locked() -> Iterator[None]:
    """Keep other processes from changing the files."""
    STATES.mkdir(parents=True, exist_ok=True)
    with FileLock(STATES / "runs.lock"):
        yield


def _read(path: Path, kind: type[Entry]) -> Iterator[tuple[int, Entry]]:
    """The entries of a file, each with the number of its line."""
    from pydantic import TypeAdapter, ValidationError

    if not path.exists():
        return
    with corruption_as(lambda reason: _damaged(path, 1, reason)):
        lines = csv.DictReader(io.StringIO(read_bytes(path).decode(), newline=""))
        found, expected = lines.fieldnames or [], [field.name for field in fields(kind)]
    if found != expected:
        wrong = sorted(set(found) ^ set(expected)) or ["their order"]
        raise _damaged(path, 1, f"the columns are others: {', '.join(map(repr, wrong))}")
    adapter = TypeAdapter(kind)
    for line in lines:
        try:
            yield lines.line_num, adapter.validate_strings(line, extra="forbid")
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(map(str, problem["loc"])) or "the line"
            raise _damaged(path, lines.line_num, f"{place} is wrong ({problem['msg']})") from None


def _damaged(path: Path, line: int, reason: str) -> ArtifactError:
    return ArtifactError(
        f"{path}, line {line}: expected the row of a finished run, but {reason}. Mend the line or "
        "delete it; git checkout brings the committed file back."
    )


def _write(path: Path, kind: type[Entry], entries: list[Entry]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(entry) for entry in entries)
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


def explain_missing(run: Run, rows: Mapping[Run, Row], data_digest: str | None) -> str:
    """Why a run is to be trained: it is missing, or its row is stale; empty if it is finished.

    Args:
        run: any.
        rows: that are there.
        data_digest: of the prepared data; None: it is not here, and not compared.
    """
    row = rows.get(run)
    if row is None:
        return "missing"
    now = fingerprint(run, data_digest or row.data)
    changed = now.differences(row.fingerprints)
    return f"stale: other {', '.join(changed)}" if changed else ""
