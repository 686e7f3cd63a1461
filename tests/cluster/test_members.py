"""Members on a real cluster: a node that fits, and one that has another version of NumPy."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline import params, stages
from pipeline.cluster import members
from pipeline.data.dataset import TrainingDigits
from pipeline.networks.record import read_record
from pipeline.stages import train
from tests.cluster import stage_runs
from tests.cluster.logs import list_begun, list_states, list_trained
from tests.cluster.nodes import Cluster, running_cluster
from tests.cluster.stage_runs import NAMES, run_stage
from tests.conftest import ROOT

UNREACHABLE = "127.0.0.1:9"

pytestmark = pytest.mark.timeout(1800)


def write_numpy_of(folder: Path, version: str) -> Path:
    """A folder for ``PYTHONPATH`` that tells of another version of NumPy."""
    metadata = folder / f"numpy-{version}.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: numpy\nVersion: {version}\n")
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A node that fits, and one that does not."""
    other_numpy = write_numpy_of(tmp_path_factory.mktemp("other"), "9.9")
    with running_cluster() as running:
        running.join(2, PYTHONPATH=str(other_numpy))
        yield running


@pytest.fixture(scope="module")
def folder(training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stage_runs.make_folder(tmp_path_factory.mktemp("project"), training_digits)


@pytest.fixture(scope="module")
def told(cluster: Cluster, folder: Path) -> str:
    """What the first train stage printed."""
    return run_stage(folder, cluster.address)


@pytest.fixture(scope="module")
def local_weights(
    training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory
) -> Sequence[np.ndarray]:
    """Those of the last member, trained without a cluster."""
    return stage_runs.train_locally(tmp_path_factory.mktemp("local"), training_digits)


def test_first_stage_has_every_member_trained_once_on_the_node_that_fits(told: str) -> None:
    assert sorted(list_begun(told)) == sorted(list_trained(told)) == NAMES
    assert "; 3 of 3\n" in told
    assert told.endswith("\n") and "weights of epoch" in told.splitlines()[-1]


def test_node_of_another_version_is_left_out_by_name(told: str) -> None:
    place = r"127\.0\.0\.2" if sys.platform == "linux" else r"[\d.]+"
    (line,) = re.findall(r"^left out: .*$", told, re.MULTILINE)
    assert re.search(rf"\({place}\): numpy 9.9, expected {np.__version__}$", line)


def test_record_says_where_and_on_what_the_member_was_trained(told: str, folder: Path) -> None:
    record = read_record(folder / "models" / NAMES[0])
    assert f"{NAMES[0]}: trained on {record.node}; " in told
    assert (record.threads, record.epochs) == (1, 2)
    (task, *_) = train.list_tasks(params.load(folder / "params.yaml"))
    assert record.conditions.machine == task.conditions.machine  # the node is this machine


def test_other_stages_take_over_the_same_bits_without_a_cluster(
    told: str,
    folder: Path,
    local_weights: Sequence[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RAY_ADDRESS", UNREACHABLE)
    monkeypatch.setattr(sys, "argv", ["train", NAMES[-1]])
    monkeypatch.setattr(members, "use_threads", lambda count: None)  # TensorFlow is at work already
    members.main()
    assert "  epoch" not in capsys.readouterr().out
    taken_over = stage_runs.load_weights(folder / stages.MODELS / NAMES[-1])
    stage_runs.assert_same_bits(local_weights, taken_over)


def test_driver_unlike_every_node_is_told_so(
    cluster: Cluster, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    stage_runs.make_folder(tmp_path, training_digits)
    other_numpy = write_numpy_of(tmp_path / "other", "9.8")
    told = run_stage(tmp_path, cluster.address, status=1, PYTHONPATH=f"{other_numpy}:{ROOT}")
    assert re.search(r"error: No node of the cluster can train .*: numpy .*, expected 9.8", told)
    assert not list_states(tmp_path)
