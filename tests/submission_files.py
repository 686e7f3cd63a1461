"""A submission as the predict stage leaves it, with what lies around it."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import stages
from pipeline.data.dataset import Provenance
from pipeline.data.tables import TEST_ROWS
from pipeline.files import sha256, write_json
from pipeline.submissions import file as submission
from pipeline.submissions.file import SubmissionRecord

PROVENANCE = Provenance(sample=False, train_sha256="a" * 64, test_sha256="b" * 64)
NEIGHBOURS = {"confidence_threshold": 0.7, "power": 4.0}
MEMBERS = {"0-0-pooled3": "c" * 64, "1-0-pooled3": "d" * 64}


def write_metrics(path: Path, **changes: Any) -> None:
    """Write what the evaluate stage says of the members, as far as a submission needs it."""
    write_json(path, {"n": 8400, "accuracy": 0.99331} | changes)


def place_submission(project: Path, *, digit: int = 7, **changes: Any) -> Path:
    """Write the CSV, which names one digit everywhere, its JSON, the metrics and the provenance.

    Args:
        project: the folder of the project.
        digit: what every image is said to show.
        changes: fields of the record to be other than usual.
    """
    path = project / stages.SUBMISSION
    submission.write(path, np.full(TEST_ROWS, digit, dtype=np.uint8))
    record = SubmissionRecord(
        sha256=sha256(path),
        rows=TEST_ROWS,
        provenance=PROVENANCE,
        members=MEMBERS,
        params_sha256="e" * 64,
        commit="f" * 40 + "+dirty",
        neighbours=NEIGHBOURS,
    )
    submission.write_record(path, replace(record, **changes))
    write_json(project / stages.RAW / "provenance.json", asdict(PROVENANCE))
    write_metrics(project / stages.EVALUATION / "metrics.json", members=MEMBERS)
    return path
