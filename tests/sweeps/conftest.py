"""A member that a sweep trains, in a project folder of its own."""

from pathlib import Path

import pytest

from pipeline import params, stages
from pipeline.data.dataset import TrainingDigits
from pipeline.files import sha256
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.scoring import list_members
from tests.conftest import FEW_NEIGHBOURS, set_params
from tests.sweeps.spaces import make_folder


@pytest.fixture
def job(training_digits: TrainingDigits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """The member of fold 0; its neighbours have a part in most predictions."""
    monkeypatch.chdir(make_folder(tmp_path, training_digits))
    set_params(tmp_path, (FEW_NEIGHBOURS[1], "confidence_threshold: 0.95"))
    settings = params.load_file(tmp_path / "params.yaml")
    (member,) = list_members(settings, [0])
    return Job(member, settings, sha256(tmp_path / stages.TRAIN))
