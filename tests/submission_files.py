"""A submission as the predict stage leaves it, with what lies around it."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import stages
from pipeline.data.tables import TEST_ROWS
from pipeline.files import sha256, write_json
from pipeline.submissions import file as submission

PROVENANCE = {"sample": False, "train_sha256": "a" * 64, "test_sha256": "b" * 64}
MEMBERS = {"0-0-deep_cnn-plain": "c" * 64, "1-0-deep_cnn-plain": "d" * 64}


def place_submission(project: Path, *, digit: int = 7, **changes: Any) -> Path:
    """Write the CSV, which names one digit everywhere, its JSON, the metrics and the provenance.

    Args:
        project: the folder of the project.
        digit: what every image is said to show.
        changes: entries of the JSON to be other than usual.
    """
    path = project / stages.SUBMISSION
    submission.write(path, np.full(TEST_ROWS, digit, dtype=np.uint8))
    record = {
        "sha256": sha256(path),
        "rows": TEST_ROWS,
        "provenance": PROVENANCE,
        "members": MEMBERS,
        "params_sha256": "e" * 64,
        "commit": "f" * 40 + "+dirty",
    }
    write_json(path.with_suffix(".json"), record | changes)
    write_json(project / stages.RAW / "provenance.json", PROVENANCE)
    write_json(project / stages.EVALUATION / "metrics.json", {"accuracy": 0.99331})
    write_json(project / stages.EVALUATION / "members.json", MEMBERS)
    return path
