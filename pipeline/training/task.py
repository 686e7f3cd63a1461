"""What is to be trained: a network, everything that its weights follow from, and where it goes."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from pipeline.errors import ArtifactError
from pipeline.files import sha256
from pipeline.networks.backend import ComputeDtype
from pipeline.networks.devices import Device
from pipeline.networks.record import Conditions, read_record
from pipeline.params import Member, Params
from pipeline.training.augmentation import WarpLimits
from pipeline.training.recipe import Recipe
from pipeline.training.state import TrainingState

SHARED_CODE = (
    "architectures/_blocks.py",
    "data/folds.py",
    "data/preprocessing.py",
    "training",
)
"""Files and folders of the package that shape every network."""

_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True)
class Task:
    """A network to train.

    Attributes:
        name: for messages, and for the files of interrupted runs.
        member: what is trained, and which fold it holds out.
        recipe: how it is fitted.
        validation_fraction: of its training rows; 0: it has no validation set.
        seed: of its rows, weights, batches and warps.
        conditions: everything that its weights follow from.
        device: where it trains.
        folder: where the trained network goes.
        states: the folder where interrupted runs wait to be continued.
    """

    name: str
    member: Member
    recipe: Recipe
    validation_fraction: float
    seed: int
    conditions: Conditions
    device: Device
    folder: Path
    states: Path

    @property
    def compute_dtype(self) -> ComputeDtype:
        """Of its layers while they train."""
        dtype: ComputeDtype = self.conditions.machine["compute_dtype"]
        return dtype

    @property
    def lock(self) -> Path:
        """Whoever trains the network holds it."""
        self.states.mkdir(parents=True, exist_ok=True)
        return self.states / f"{self.name}.lock"

    @property
    def state(self) -> Path:
        """Where an interrupted run waits to be continued."""
        content = json.dumps(asdict(self.conditions), sort_keys=True)
        fingerprint = hashlib.sha256(content.encode()).hexdigest()[:16]
        return self.states / f"{self.name}.{fingerprint}.npz"

    @property
    def is_current(self) -> bool:
        """Whether the network was trained under these conditions, on whatever machine."""
        try:
            trained = read_record(self.folder).conditions
        except ArtifactError:
            return False
        return trained.ask_for_the_same(self.conditions)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to fit: the network is current, or its finished state waits.

        A damaged state is left to whoever continues it.
        """
        try:
            return self.is_current or TrainingState.is_finished(self.state)
        except ArtifactError:
            return False

    def discard_states(self, *, keep_current: bool) -> None:
        """Delete what earlier runs left to be continued.

        Args:
            keep_current: keep the state of these conditions. If DVC was ended before it noted the
                finished run, the next one needs it.
        """
        of_killed_processes = self.states.glob(f".{self.name}.*.partial.npz")
        for path in (*self.states.glob(f"{self.name}.*.npz"), *of_killed_processes):
            if not (keep_current and path == self.state):
                path.unlink()


def make_recipe(member: Member, settings: Params) -> Recipe:
    """How params.yaml says that a member is fitted."""
    train = settings.train
    return Recipe(
        batch_size=train.batch_size,
        batch_parts=train.batch_parts,
        learning_rate=train.learning_rate,
        max_epochs=train.all_rows_epochs if member.fold == "all" else train.max_epochs,
        warmup_epochs=train.warmup_epochs,
        patience_epochs=train.patience_epochs,
        decay_epochs=train.decay_epochs,
        pruned_fraction=train.pruned_fraction,
        warp=WarpLimits(**settings.augmentation.model_dump()),
    )


def derive_seed(member: Member, seed: int) -> int:
    """The member's own seed, a 32-bit integer, from the one in params.yaml.

    What a network is decides on it, and not its name.
    """
    fold = [0] if member.fold == "all" else [1, member.fold]
    network = f"{member.architecture}-{','.join(member.view_names)}"
    entropy = [seed, member.seed, crc32(network.encode()), *fold]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def hash_shared_code(*further: str) -> dict[str, str]:
    """SHA-256 of each file that shapes every network, by its path in the package.

    Args:
        further: files of the package next to those of `SHARED_CODE`.
    """
    paths = [
        path
        for name in (*SHARED_CODE, *further)
        for path in (
            [_PACKAGE / name] if name.endswith(".py") else sorted((_PACKAGE / name).glob("*.py"))
        )
    ]
    return {path.relative_to(_PACKAGE).as_posix(): sha256(path) for path in paths}
