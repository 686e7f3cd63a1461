"""What a terminal shows while a sweep runs."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.data.dataset import TrainingDigits
from pipeline.files import sha256
from pipeline.stages import TRAIN
from pipeline.sweeps import display, space
from pipeline.sweeps.display import SweepDisplay
from pipeline.sweeps.files import Paths
from pipeline.sweeps.jobs import Job
from pipeline.sweeps.scoring import list_members
from pipeline.sweeps.search import Sweep
from pipeline.sweeps.tracker import JobTracker
from tests.sweeps.scripted import Scripted
from tests.sweeps.spaces import make_folder, write_space


@pytest.mark.parametrize("height", [40, 8])
def test_members_are_shown_with_their_epochs(
    height: int, training_digits: TrainingDigits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_folder(tmp_path, training_digits))
    screen = Console(file=StringIO(), force_terminal=True, width=90, height=height)
    monkeypatch.setattr(display, "_console", screen)
    searched = space.read(write_space(tmp_path), tmp_path / "params.yaml")
    paths = Paths("small")
    tracker = JobTracker(paths.folder, Scripted(training_digits, newest_first=False, failing=0))
    sweep = Sweep(searched, paths, training_digits, sha256(TRAIN))
    jobs = {
        member: Job(member, searched.base, "0" * 64)
        for member in list_members(searched.base, [0, 1, 2])
    }
    for job in jobs.values():
        tracker.request(job)
    with SweepDisplay(searched, sweep.table) as shown:
        key = next(iter(jobs.values())).key
        tracker.histories[key].append({"epoch": 1, "val_loss": 0.25, "seconds": 1})
        tracker.last_epochs[key] = 3
        shown.show({0: jobs}, tracker)
    assert isinstance(screen.file, StringIO)
    told = screen.file.getvalue()
    assert "0-0-small  1/3      0.2500" in told
    assert ("2-0-small  waiting" in told) == (height == 40)
    assert "0 of 4 trials" in told
