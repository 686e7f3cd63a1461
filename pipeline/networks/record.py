"""``models/<member>/member.json``: what a trained network came from."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.data.dataset import Provenance
from pipeline.data.preprocessing import are_views
from pipeline.data.transforms import TRANSFORMS
from pipeline.errors import ArtifactError
from pipeline.files import write_json
from pipeline.stored import read_record as read_record_file

RECORD = "member.json"


@dataclass(frozen=True)
class Conditions:
    """Everything that the trained weights follow from, bit for bit.

    Attributes:
        seed: of params.yaml.
        train: that section of params.yaml, as far as the member uses it.
        augmentation: that section of params.yaml.
        architecture: by name.
        preprocessing: views, each a list of transforms.
        data_sha256: of ``train.npz``.
        code_sha256: of each file of the package that shapes a network.
        machine: versions, processor and floating-point type. DVC does not know these, so that a
            network counts as current on another machine.
    """

    seed: int
    train: dict[str, Any]
    augmentation: dict[str, Any]
    architecture: str
    preprocessing: list[list[str]]
    data_sha256: str
    code_sha256: dict[str, str]
    machine: dict[str, Any]

    def ask_for_the_same(self, other: "Conditions") -> bool:
        """Whether they differ in nothing but the machine."""
        return vars(self) | {"machine": None} == vars(other) | {"machine": None}


@dataclass(frozen=True)
class MemberRecord:
    """What a trained network came from.

    Attributes:
        fold: that it held out, or ``all``.
        seed: of ``ensemble.seeds``.
        network: its name in params.yaml.
        architecture: by name.
        preprocessing: views, each a list of transforms.
        provenance: of the data.
        parameters: how many the model has.
        epochs: how many were run.
        best_epoch: whose weights the model has.
        training_images: how many it was fitted on.
        validation_images: how many monitored the fit.
        training_seconds: how long it took.
        threads: how many operations ran side by side; they decide the speed alone.
        conditions: what the weights follow from.
        node: of a cluster, that trained it; empty: this machine did.
    """

    fold: int | str
    seed: int
    network: str
    architecture: str
    preprocessing: list[list[str]]
    provenance: Provenance
    parameters: int
    epochs: int
    best_epoch: int
    training_images: int
    validation_images: int
    training_seconds: float
    threads: int
    conditions: Conditions
    node: str = ""


def write_record(folder: Path, record: MemberRecord) -> None:
    """Write the record of the member in ``folder``."""
    write_json(folder / RECORD, asdict(record))


def read_record(folder: Path) -> MemberRecord:
    """Read what `write_record` wrote into a member's folder.

    Raises:
        ArtifactError: it is missing, damaged, or of another version of the pipeline.
    """
    path = folder / RECORD

    def describe(reason: str) -> ArtifactError:
        return ArtifactError(
            f"{path} does not tell what the network came from: expected the record that the train "
            f"stage writes, with views made of {', '.join(TRANSFORMS)}, but {reason}. Another "
            f"version of the pipeline may have written it. Delete {folder}, then train it again "
            "with: dvc repro"
        )

    record = read_record_file(path, MemberRecord, describe)
    if not are_views(record.preprocessing):
        raise describe(f"its views are {record.preprocessing}")
    return record
