"""Where the files of a sweep are, and what it was begun with.

Next to its space file: ``<name>.csv``, one row per trial, ``<name>.json`` and ``<name>.html``. In
``<name>/``, for the sweep alone: Optuna's journal, what it was begun with, the members that it has
trained, the states of interrupted ones, and the log of all epochs.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ParamsError
from pipeline.files import read_json, write_json
from pipeline.sweeps.jobs import hash_code
from pipeline.sweeps.space import SWEEPS, Space

_IRRELEVANT = {"source", "evaluate"}
"""Sections of params.yaml that change no prediction."""


@dataclass(frozen=True)
class Paths:
    """Where a sweep's files are.

    Attributes:
        name: of the sweep.
    """

    name: str

    @property
    def folder(self) -> Path:
        """What the sweep alone needs."""
        return SWEEPS / self.name

    @property
    def table(self) -> Path:
        """One row per trial."""
        return SWEEPS / f"{self.name}.csv"

    @property
    def summary(self) -> Path:
        """What was found."""
        return SWEEPS / f"{self.name}.json"

    @property
    def page(self) -> Path:
        """Both, and their pictures."""
        return SWEEPS / f"{self.name}.html"


def check_same(paths: Paths, space: Space, data_sha256: str) -> None:
    """Note what a sweep is begun with; refuse to go on with anything else.

    More trials are no difference.

    Raises:
        ParamsError: it differs.
    """
    path = paths.folder / "begun.json"
    now = {
        "space": space.file.model_dump(exclude={"trials"}),
        "params.yaml": space.base.model_dump(exclude=_IRRELEVANT),
        "data": {"train.npz": data_sha256},
        "code": hash_code(),
    }
    if not path.exists():
        write_json(path, now)
        return
    before, now = read_json(path), json.loads(json.dumps(now))
    names = [
        f"{part}: {name}"
        for part in now
        for name in {**before[part], **now[part]}
        if before[part].get(name) != now[part].get(name)
    ]
    if names:
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        raise ParamsError(
            f"{paths.folder} holds trials of something else than this would try: "
            f"{', '.join(names[:4])}{more} differ. Trials must be comparable. Undo the change, "
            f"give the space file another name, or delete {paths.folder} to begin again. Nothing "
            "was run."
        )
