"""Records of members that were never trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.data.dataset import Provenance
from pipeline.networks import record
from pipeline.networks.record import Conditions, MemberRecord

RECORD = MemberRecord(
    fold=0,
    seed=0,
    network="small",
    architecture="pooled_cnn",
    preprocessing=[[]],
    provenance=Provenance(True, "a" * 64, "b" * 64),
    parameters=391_594,
    epochs=8,
    best_epoch=8,
    training_images=40,
    validation_images=0,
    training_seconds=12.5,
    threads=2,
    conditions=Conditions(
        seed=0,
        train={"batch_size": 128},
        augmentation={"shift_pixels": 1.0},
        architecture="pooled_cnn",
        preprocessing=[[]],
        data_sha256="c" * 64,
        code_sha256={"training/loop.py": "d" * 64},
        machine={"cpu": "A processor", "compute_dtype": "bfloat16"},
    ),
)


def write_record(folder: Path, **changes: Any) -> MemberRecord:
    """Write `RECORD` with other values into a member's folder."""
    changed = replace(RECORD, **changes)
    record.write_record(folder, changed)
    return changed
