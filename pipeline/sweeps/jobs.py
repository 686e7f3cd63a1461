"""What a sweep and those that train for it send each other."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from pipeline.files import sha256
from pipeline.params import Member, Params

_PACKAGE = Path(__file__).parent.parent

_CODE = (
    "architectures",
    "data/dataset.py",
    "data/folds.py",
    "data/preprocessing.py",
    "data/transforms",
    "ensemble",
    "evaluation/scores/log_loss.py",
    "networks",
    "sweeps/fitting.py",
    "sweeps/scoring.py",
    "training",
)
"""Files and folders of the package that shape what members predict, and how good that is."""


@dataclass(frozen=True)
class Job:
    """A member to train and to ask for the images of its fold.

    Attributes:
        member: what is trained, and which fold it holds out.
        settings: under which it is trained.
        data_sha256: of ``train.npz``.
    """

    member: Member
    settings: Params
    data_sha256: str

    @property
    def key(self) -> str:
        """Its name: equal for equal networks, whatever the trial."""
        train = self.settings.train.model_dump(exclude={"all_rows_epochs"})
        shaped_by = [
            asdict(self.member),
            self.settings.seed,
            train,
            self.settings.augmentation.model_dump(),
            self.data_sha256,
        ]
        content = json.dumps(shaped_by, sort_keys=True).encode()
        return f"{self.member.name}-{hashlib.sha256(content).hexdigest()[:12]}"


@dataclass(frozen=True)
class Epoch:
    """A member has finished an epoch, now or before it was interrupted.

    Attributes:
        key: of the job.
        row: of its history: epoch, loss, seconds and the like.
        last_epoch: after which the training ends, as far as is known.
        node: that trains it, by name.
    """

    key: str
    row: dict[str, float]
    last_epoch: int
    node: str


@dataclass(frozen=True)
class Finished:
    """A member is trained.

    Attributes:
        key: of the job.
        content: as `predictions.encode` wrote it.
    """

    key: str
    content: bytes


@dataclass(frozen=True)
class Stopped:
    """A member was stopped as asked, after a finished epoch.

    Attributes:
        key: of the job.
    """

    key: str


@dataclass(frozen=True)
class Failed:
    """A member cannot be trained.

    Attributes:
        key: of the job.
        reason: why.
    """

    key: str
    reason: str


Event = Epoch | Finished | Stopped | Failed


class Executor(AbstractContextManager["Executor"], Protocol):
    """Where members are trained: processes of this machine, or nodes of a cluster."""

    def submit(self, job: Job) -> None:
        """Have a job done, after those submitted before it."""

    def stop(self, key: str) -> bool:
        """End a job. True: it had not begun; else it comes back, as `Stopped` or finished."""

    def wait(self) -> Iterator[Event]:
        """What happens next; comes back at the latest after a second."""


def hash_code() -> dict[str, str]:
    """SHA-256 of each file on which the score of a trial depends, by its path in the package."""
    paths = [
        path
        for name in _CODE
        for path in (
            [_PACKAGE / name] if name.endswith(".py") else sorted((_PACKAGE / name).glob("*.py"))
        )
    ]
    return {path.relative_to(_PACKAGE).as_posix(): sha256(path) for path in paths}
