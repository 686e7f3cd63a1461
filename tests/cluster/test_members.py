"""Members on a real cluster: two nodes that fit, and one that has another version of NumPy."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline import params, stages
from pipeline.cluster import members
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.networks.record import read_record
from pipeline.networks.trained import load_model
from pipeline.stages import train
from tests.cluster.nodes import Cluster, end, running_cluster, stage_environment
from tests.conftest import ROOT, SMALL_NETWORK, set_params

SEEDS = [0, 1, 2]
NAMES = [f"0-{seed}-small" for seed in SEEDS]
UNREACHABLE = "127.0.0.1:9"


def make_folder(folder: Path, digits: TrainingDigits) -> Path:
    """A project of three small members, two epochs each."""
    dataset.save(folder / stages.TRAIN, digits)
    shutil.copy(ROOT / "params.yaml", folder)
    set_params(
        folder,
        SMALL_NETWORK,
        ("seeds: [0]", f"seeds: {SEEDS}"),
        ("max_epochs: 36", "max_epochs: 2"),
        ("decay_epochs: 8", "decay_epochs: 1"),
        ("validation_fraction: 0.03", "validation_fraction: 0.25"),
    )
    return folder


def write_numpy_of(folder: Path, version: str) -> Path:
    """A folder for ``PYTHONPATH`` that tells of another version of NumPy."""
    metadata = folder / f"numpy-{version}.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: numpy\nVersion: {version}\n")
    return folder


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes that fit, and one that does not."""
    other_numpy = write_numpy_of(tmp_path_factory.mktemp("other"), "9.9")
    with running_cluster() as running:
        running.join(3, PYTHONPATH=str(other_numpy))
        running.join(2)
        yield running


def start(
    folder: Path, address: str, name: str = NAMES[0], **variables: str
) -> subprocess.Popen[str]:
    """Begin the train stage of a member, as DVC would."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.stages.train", name],
        cwd=folder,
        env=stage_environment(address, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(stage: subprocess.Popen[str], text: str) -> str:
    """What a stage prints up to a line that holds ``text``."""
    told = ""
    assert stage.stdout
    for line in stage.stdout:
        told += line
        if text in line:
            return told
    raise AssertionError(told)


def run_stage(
    folder: Path, address: str, name: str = NAMES[0], *, status: int = 0, **variables: str
) -> str:
    """What the train stage of a member prints to its end."""
    stage = start(folder, address, name, **variables)
    told, _ = stage.communicate()
    assert stage.returncode == status, told
    return told


def list_begun(told: str) -> list[str]:
    """The members that began on a node, once for each time."""
    return re.findall(r"^(\S+): (?:again )?on ", told, re.MULTILINE)


def list_trained(told: str) -> list[str]:
    return re.findall(r"^(\S+): trained on ", told, re.MULTILINE)


@pytest.fixture(scope="module")
def folder(training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("project"), training_digits)


@pytest.fixture(scope="module")
def told(cluster: Cluster, folder: Path) -> str:
    """What the first train stage printed."""
    return run_stage(folder, cluster.address)


@pytest.fixture(scope="module")
def local_weights(
    training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory
) -> list[np.ndarray]:
    """Those of the last member, trained without a cluster."""
    local = make_folder(tmp_path_factory.mktemp("local"), training_digits)
    set_params(local, (f"seeds: {SEEDS}", f"seeds: {SEEDS[-1:]}"))
    subprocess.run(
        [sys.executable, "-m", "pipeline.stages.train", NAMES[-1]],
        cwd=local,
        env=stage_environment(""),
        check=True,
    )
    return load_weights(local / stages.MODELS / NAMES[-1])


def load_weights(folder: Path) -> list[np.ndarray]:
    return list(load_model(folder / "model.keras").get_weights())


def take_over(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run a member's stage where no cluster is; the member's folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RAY_ADDRESS", UNREACHABLE)
    monkeypatch.setattr(sys, "argv", ["train", name])
    monkeypatch.setattr(members, "use_threads", lambda count: None)  # TensorFlow is at work already
    members.main()
    return folder / stages.MODELS / name


def check_weights(
    folder: Path, local_weights: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that the last member is, bit for bit, what this machine trains."""
    taken_over = load_weights(take_over(folder, NAMES[-1], monkeypatch))
    for local, remote in zip(local_weights, taken_over, strict=True):
        np.testing.assert_array_equal(local, remote)


def test_first_stage_has_every_member_trained_once_on_nodes_that_fit(told: str) -> None:
    assert sorted(list_begun(told)) == sorted(list_trained(told)) == NAMES
    if sys.platform == "linux":
        assert "(127.0.0.2)" in told
        assert told.count("left out: ") == 1
        assert re.search(
            rf"^left out: .*\(127.0.0.3\): numpy 9.9, expected {np.__version__}$",
            told,
            re.MULTILINE,
        )
    assert "; 3 of 3\n" in told
    assert told.endswith("\n") and "weights of epoch" in told.splitlines()[-1]


def test_record_says_where_and_on_what_the_member_was_trained(told: str, folder: Path) -> None:
    record = read_record(folder / "models" / NAMES[0])
    assert f"{NAMES[0]}: trained on {record.node}; " in told
    assert (record.threads, record.epochs) == (1, 2)
    (task, *_) = train.list_tasks(params.load(folder / "params.yaml"))
    assert record.conditions.machine == task.conditions.machine  # the nodes are this machine


def test_other_stages_take_over_the_same_bits_without_a_cluster(
    told: str,
    folder: Path,
    local_weights: list[np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check_weights(folder, local_weights, monkeypatch)
    assert "  epoch" not in capsys.readouterr().out


def test_killed_worker_is_replaced_with_the_same_bits(
    cluster: Cluster,
    local_weights: list[np.ndarray],
    training_digits: TrainingDigits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = start(make_folder(tmp_path, training_digits), cluster.address)
    told = wait_for(stage, f"{NAMES[0]}: on ")
    workers = cluster.workers(NAMES)
    assert workers
    for worker in workers:
        worker.kill()
    told += stage.communicate()[0]
    assert stage.returncode == 0, told
    assert "again on" in told
    assert sorted(list_trained(told)) == NAMES
    check_weights(tmp_path, local_weights, monkeypatch)


def test_killed_driver_loses_no_member_and_trains_none_twice(
    cluster: Cluster, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    make_folder(tmp_path, training_digits)
    stage = start(tmp_path, cluster.address)
    wait_for(stage, "trained on")
    stage.kill()
    stage.communicate()
    kept = {path.name.partition(".")[0] for path in (tmp_path / train.STATES).glob("[!.]*.npz")}
    missing = [name for name in NAMES if name not in kept]
    assert kept and missing
    told = run_stage(tmp_path, cluster.address, missing[0])
    assert kept.isdisjoint(list_begun(told))
    assert sorted(list_trained(told)) == missing


def test_members_of_a_stopped_node_go_to_another(
    cluster: Cluster, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    stage = start(make_folder(tmp_path, training_digits), cluster.address)
    told = wait_for(stage, f"{NAMES[0]}: on ")
    end(cluster.nodes[-1])
    told += stage.communicate()[0]
    assert stage.returncode == 0, told
    assert sorted(list_trained(told)) == NAMES


def test_driver_unlike_every_node_is_told_so(
    cluster: Cluster, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    make_folder(tmp_path, training_digits)
    other_numpy = write_numpy_of(tmp_path / "other", "9.8")
    told = run_stage(tmp_path, cluster.address, status=1, PYTHONPATH=f"{other_numpy}:{ROOT}")
    assert re.search(r"error: No node of the cluster can train .*: numpy .*, expected 9.8", told)
    assert not list((tmp_path / train.STATES).glob("*.npz"))
