"""The commands that write: `digits submit`, `digits compare` and `digits predict`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from checks.faults import stages as runs_of_stages
from checks.faults.running import Beside, Ended, Step, is_half
from pipeline import cli, stages
from pipeline.data import dataset
from pipeline.files import sha256
from pipeline.submissions import log as submission_log
from pipeline.submissions.log import Entry
from tests.cli.recorded import record
from tests.competition import make_hollow_archive
from tests.conftest import make_project
from tests.kaggle_server import KEY, USERNAME, make_certificates, serving
from tests.submission_files import place_submission

NAMES = ("digits-submit", "digits-compare", "digits-predict")

_LOG = stages.SUBMISSION.with_name("log.csv")
_EARLIER = Entry(
    time="2026-01-01T00:00:00Z", reference="40000000", status="complete", sha256="a" * 64
)


_KAGGLE = {
    "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
    "KAGGLE_USERNAME": USERNAME,
    "KAGGLE_KEY": KEY,
}


def _digits(*arguments: str) -> None:
    sys.argv = ["digits", *arguments]
    cli.main()


class _Kaggle(Beside):
    """Kaggle on loopback; it takes submissions and scores them at once.

    Attributes:
        submissions: that it took.
    """

    def __init__(self, archive: bytes, certificates: Path) -> None:
        self.submissions: list[dict[str, Any]] = []
        self._uploads: dict[str, bytes] = {}
        self._archive, self._certificates = archive, certificates

    @contextmanager
    def running(self) -> Iterator[dict[str, str]]:
        with serving(self._archive, self._certificates) as server:
            server.submissions, server.uploads = self.submissions, self._uploads
            server.polls_until_scored = 0
            proxy = f"http://127.0.0.1:{server.port}"
            yield _KAGGLE | {"HTTP_PROXY": proxy, "http_proxy": proxy}

    def state(self) -> str:
        return repr([each["ref"] for each in self.submissions])


def _prepare_submission() -> None:
    place_submission(Path())
    submission_log.write(_LOG, [_EARLIER])


def _is_log(name: str, content: bytes) -> bool:
    """Whether a file is a log that also knows of the attempt, or of the submission not scored."""
    return name == str(_LOG) and content.count(b"\n") == 3


def _settle_submission(ended: Ended, beside: Beside) -> list[str]:
    """Sent once and logged; or not sent, and the log knows that it may have been."""
    assert isinstance(beside, _Kaggle)
    digest = sha256(stages.SUBMISSION)
    entries = [each for each in submission_log.read(_LOG) if each.sha256 == digest]
    references = [each.reference for each in entries]
    taken = [str(each["ref"]) for each in beside.submissions]
    found = []
    if taken:
        if len(taken) > 1 or references != taken:
            found.append(f"sent as {taken}, logged as {references}")
        if ended.status and "already submitted" not in ended.said:
            found.append(f"the next run ends with {ended.status}: {ended.said}")
        if sha256(_LOG.parent / "sent" / f"{digest[:8]}.csv") != digest:
            found.append("another file was sent")
    elif references != [""] or "may have been submitted" not in ended.said:
        found.append(f"not sent, logged as {references}: {ended.said}")
    if _EARLIER not in submission_log.read(_LOG):
        found.append("an earlier upload is no longer in the log")
    return found + [str(path) for path in Path().rglob("*") if is_half(path.name)]


def _prepare_history(run: Path, other: Path) -> None:
    """A commit of one run, and another in the workspace."""
    here = make_project(Path.cwd())
    shutil.copytree(other, here, dirs_exist_ok=True)
    record(here)
    _git("add", ".")
    _git("commit", "--quiet", "--message=other")
    runs_of_stages.in_child(partial(_digits, "compare", "HEAD"))
    shutil.copytree(run, here, dirs_exist_ok=True)
    record(here)


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)


def _prepare_picture(run: Path) -> None:
    shutil.copytree(run, ".", dirs_exist_ok=True)
    image = dataset.load_test(stages.TEST).images[0]
    Image.fromarray(255 - np.kron(image, np.ones((8, 8), np.uint8))).save("photo.png")
    Path("seen.png").write_bytes(b"of an earlier one")


def make_steps(names: Collection[str], folder: Path, runs: Sequence[Path]) -> dict[str, Step]:
    """The steps of these commands.

    Args:
        names: those of `NAMES` count.
        folder: for what they start from.
        runs: finished ones; the last two are of the same images.
    """
    steps = {}
    if "digits-submit" in names:
        make_certificates(folder)
        with patch.dict(os.environ, _KAGGLE | {"KAGGLE_API_TOKEN": ""}):
            import_module("kaggle")  # once for all children; it reads these variables
        steps["digits-submit"] = Step(
            _prepare_submission,
            partial(_digits, "submit", "--message", "a network"),
            beside=partial(_Kaggle, make_hollow_archive(), folder),
            is_between=_is_log,
            settle=_settle_submission,
        )
    if "digits-compare" in names:
        steps["digits-compare"] = Step(
            partial(_prepare_history, *runs[1:]), partial(_digits, "compare", "HEAD")
        )
    if "digits-predict" in names:
        steps["digits-predict"] = Step(
            partial(_prepare_picture, runs[1]),
            partial(_digits, "predict", "photo.png", "--png", "seen.png"),
        )
    return steps
