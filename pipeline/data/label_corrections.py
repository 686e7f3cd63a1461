"""What people decided about the labels of ``train.csv``: checked against them, and applied.

Networks train on the corrected labels. Scores are always against the labels as given.
"""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pipeline.data.dataset import LEFT_OUT, Labels, Provenance
from pipeline.errors import ArtifactError, TableError
from pipeline.files import write_json
from pipeline.stored import read_record

Verdict = Literal["right", "wrong", "unreadable"]
"""The label is right; it should be another digit; no digit can be read, so the row is left out."""

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

REMEDY = "Mend the file, or move it away to train on the labels as given; then run: dvc repro"


@dataclass(frozen=True)
class LabelVerdict:
    """What was decided about one label.

    Attributes:
        line: of ``labels.csv``, for messages.
        row: of ``train.csv``, counted from 0.
        label: the digit that ``train.csv`` gives.
        verdict: what was decided.
        correction: the digit that it should be; None unless the verdict is ``wrong``.
    """

    line: int
    row: int
    label: int
    verdict: Verdict
    correction: int | None


@dataclass(frozen=True)
class CorrectionSummary:
    """How labels were corrected, as metrics.json and submission.json record it.

    Attributes:
        sha256: of ``labels.csv``.
        right: labels that are right.
        corrected: labels that networks train on as another digit.
        left_out: rows that networks do not train on.
    """

    sha256: str
    right: int
    corrected: int
    left_out: int

    def __str__(self) -> str:
        """One line for people."""
        labels = "label" if self.corrected == 1 else "labels"
        rows = "row" if self.left_out == 1 else "rows"
        return f"{self.corrected:,} {labels} corrected, {self.left_out:,} {rows} left out"


@dataclass(frozen=True)
class LabelCorrections:
    """The contents of a ``labels.csv``.

    Attributes:
        sha256: of the file.
        data: which data it says that it is of, as `name_data` gives it; None if it does not say.
        verdicts: one per row, in the order of the file.
    """

    sha256: str
    data: str | None
    verdicts: tuple[LabelVerdict, ...]

    def summarize(self) -> CorrectionSummary:
        """How many labels were decided, and how."""
        counts = Counter(each.verdict for each in self.verdicts)
        return CorrectionSummary(
            self.sha256, counts["right"], corrected=counts["wrong"], left_out=counts["unreadable"]
        )


def name_data(provenance: Provenance) -> str:
    """The data in one word, for the column ``data`` of ``labels.csv``."""
    return f"{name_kind(sample=provenance.sample)}-{provenance.train_sha256[:12]}"


def name_kind(*, sample: bool) -> str:
    """How the word of `name_data` begins."""
    return "sample" if sample else "competition"


def check_kind(path: Path, corrections: LabelCorrections, *, sample: bool) -> None:
    """Refuse corrections of the sample for the competition's data, and the reverse.

    Args:
        path: of ``labels.csv``, for the message.
        corrections: its contents.
        sample: whether the pipeline is about to use the embedded sample.

    Raises:
        TableError: naming the data.
    """
    kind = name_kind(sample=sample)
    if corrections.data is not None and corrections.data.partition("-")[0] != kind:
        raise _other_data(path, corrections.data, kind)


def check(
    path: Path, corrections: LabelCorrections, labels: Labels, provenance: Provenance
) -> None:
    """Check that corrections are of this data.

    Args:
        path: of ``labels.csv``, for the message.
        corrections: its contents.
        labels: uint8 ``(n,)``, as ``train.csv`` gives them.
        provenance: of the data.

    Raises:
        TableError: they are of other data, of a row or a label that ``train.csv`` does not have, or
            leave a digit without rows to train on.
    """
    name = name_data(provenance)
    if corrections.data not in (None, name):
        raise _other_data(path, corrections.data, name)
    for each in corrections.verdicts:
        if each.row >= len(labels):
            raise TableError(
                f"{path}, line {each.line:,}: there is no row {each.row:,} in train.csv of {name}: "
                f"expected 0 to {len(labels) - 1:,}.",
                REMEDY,
            )
        if each.label != labels[each.row]:
            raise TableError(
                f"{path}, line {each.line:,}: row {each.row:,} has the label {labels[each.row]} in "
                f"train.csv of {name}, found {each.label}. The file seems to be of other data, or "
                "its rows are not counted from 0.",
                REMEDY,
            )
    corrected = apply(corrections, labels)
    lost = set() if corrected is None else set(labels.tolist()) - set(corrected.tolist())
    if lost:
        raise TableError(
            f"{path} leaves no row of the {'digits' if len(lost) > 1 else 'digit'} "
            f"{', '.join(map(str, sorted(lost)))} to train on: expected rows of each digit, found "
            f"{corrections.summarize()}.",
            REMEDY,
        )


def apply(corrections: LabelCorrections | None, labels: Labels) -> Labels | None:
    """The labels to train on, with `LEFT_OUT` for rows without one; None where nothing changes.

    Args:
        corrections: that `check` accepted, if there are any.
        labels: uint8 ``(n,)``, as ``train.csv`` gives them.
    """
    corrected = labels.copy()
    for each in corrections.verdicts if corrections else ():
        if each.verdict == "unreadable":
            corrected[each.row] = LEFT_OUT
        elif each.correction is not None:
            corrected[each.row] = each.correction
    return None if (corrected == labels).all() else corrected


def write(path: Path, corrections: LabelCorrections | None) -> None:
    """Write what `read` reads."""
    write_json(path, None if corrections is None else asdict(corrections))


def read(path: Path) -> LabelCorrections | None:
    """Read what the source stage made of ``labels.csv``; None if there was no such file.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    kind: Any = LabelCorrections | None
    corrections: LabelCorrections | None = read_record(
        path,
        kind,
        lambda reason: ArtifactError(
            f"{path} is damaged: expected what the source stage writes, but {reason}. Delete it "
            "and run: dvc repro"
        ),
    )
    return corrections


def _other_data(path: Path, found: str | None, expected: str) -> TableError:
    return TableError(
        f"{path} is of other data: expected {expected}, which the pipeline uses, found {found}.",
        REMEDY,
    )
