"""A sweep on two real nodes, its driver killed: the same trials as on this machine alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from pipeline.data.dataset import TrainingDigits
from tests.cluster.nodes import Cluster, running_cluster
from tests.conftest import ROOT, environment
from tests.sweeps.spaces import make_folder, write_space

pytestmark = pytest.mark.timeout(1800)

TWELVE = (("trials: 3", "trials: 12"), ("trials_at_once: 1", "trials_at_once: 2"))
OF_THE_RUN = ["nodes", "seconds", "ended_at"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        running.join(2)
        yield running


def start(folder: Path, address: str) -> subprocess.Popen[str]:
    variables = {"RAY_ADDRESS": address, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "sweep", "small"],
        cwd=folder,
        env=environment(folder) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(driver: subprocess.Popen[str]) -> str:
    printed, _ = driver.communicate()
    assert driver.returncode == 0, printed
    return printed


def list_members(folder: Path) -> dict[str, int]:
    """When each member came back, by name."""
    members = (folder / "sweeps/small/members").glob("[!.]*.npz")
    return {path.name: path.stat().st_mtime_ns for path in members}


def test_sweep_on_two_nodes_is_that_of_one_machine(
    cluster: Cluster, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    tables = []
    for name in ("cluster", "local"):
        folder = make_folder(tmp_path / name, training_digits)
        write_space(folder, *TWELVE)
        if name == "cluster":
            killed = start(folder, cluster.address)
            while len(list_members(folder)) < 6:
                if killed.poll() is not None:
                    pytest.fail(killed.communicate()[0])
                time.sleep(0.1)
            os.kill(killed.pid, signal.SIGKILL)
            killed.communicate()
            before = list_members(folder)
            finish(start(folder, cluster.address))
            assert before.items() <= list_members(folder).items()  # none is trained twice
        else:
            finish(start(folder, ""))
        tables.append(pd.read_csv(folder / "sweeps/small.csv"))
    on_nodes, here = tables
    assert len(on_nodes) == 13
    assert len({node for nodes in on_nodes["nodes"] for node in nodes.split(", ")}) == 2
    pd.testing.assert_frame_equal(on_nodes.drop(columns=OF_THE_RUN), here.drop(columns=OF_THE_RUN))


def test_closed_address_is_told(training_digits: TrainingDigits, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "project", training_digits)
    write_space(folder)
    driver = start(folder, "127.0.0.1:9")
    printed, _ = driver.communicate()
    assert driver.returncode == 1
    assert "No cluster answers at RAY_ADDRESS=127.0.0.1:9" in printed
    assert "unset RAY_ADDRESS" in printed
