"""Members on two real nodes: what DVC makes of them, and a worker, the driver and a node killed."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from psutil import NoSuchProcess

from pipeline import stages
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from tests.cluster import stage_runs
from tests.cluster.logs import list_begun, list_states, list_trained
from tests.cluster.nodes import Cluster, end, running_cluster
from tests.cluster.stage_runs import (
    NAMES,
    SEEDS,
    SHORT,
    assert_same_bits,
    load_weights,
    run_stage,
)
from tests.conftest import environment, make_project, run, set_params

SECOND = r"127\.0\.0\.2" if sys.platform == "linux" else r"[\d.]+"

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as running:
        running.join(2)
        yield running


def begin(folder: Path, digits: TrainingDigits, cluster: Cluster) -> subprocess.Popen[str]:
    """Begin the first train stage of a new project."""
    folder.mkdir()
    return stage_runs.start(stage_runs.make_folder(folder, digits), cluster.address)


def test_pipeline_with_a_cluster_ends_as_without(cluster: Cluster, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    seeds, decay, _ = SHORT
    set_params(project, seeds, ("decay_epochs: 7", decay[1]), ("max_epochs: 8", "max_epochs: 2"))
    done = subprocess.run(
        ["dvc", "repro"],
        cwd=project,
        env=environment(project) | {"RAY_ADDRESS": cluster.address},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(list_begun(done.stdout)) == sorted(list_trained(done.stdout)) == NAMES
    assert re.findall(r"^(\S+):$", run(project, "dvc", "status"), re.MULTILINE) == ["source"]
    again = run(project, "dvc", "repro")
    assert re.findall(r"Running stage '([^']+)'", again) == ["source"]

    local = tmp_path / "local"
    dataset.save(local / stages.TRAIN, dataset.load_training(project / stages.TRAIN))
    shutil.copy(project / "params.yaml", local)
    set_params(local, (f"seeds: {SEEDS}", f"seeds: {SEEDS[-1:]}"))
    run_stage(local, "", NAMES[-1])
    trained = [load_weights(each / stages.MODELS / NAMES[-1]) for each in (local, project)]
    assert_same_bits(*trained)


def test_one_process_for_each_processor(
    cluster: Cluster, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    """Each one more would import TensorFlow, and share a processor, for nothing."""
    stage = begin(tmp_path / "project", training_digits, cluster)
    seen = set()
    while stage.poll() is None:
        with suppress(NoSuchProcess):
            seen |= {worker.pid for worker in cluster.workers(NAMES)}
        time.sleep(0.02)
    told, _ = stage.communicate()
    assert stage.returncode == 0, told
    assert len(seen) == 2


def test_killed_worker_is_replaced_with_the_same_bits(
    cluster: Cluster, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    for attempt in count():  # until the workers did not end before they were killed
        folder = tmp_path / str(attempt)
        stage = begin(folder, training_digits, cluster)
        told = stage_runs.wait_for(stage, ": on ")
        for worker in cluster.workers(NAMES):
            worker.kill()
        told += stage.communicate()[0]
        assert stage.returncode == 0, told
        assert sorted(list_trained(told)) == NAMES
        if "again on" in told:
            break
    run_stage(folder, cluster.address, NAMES[-1])
    local = tmp_path / "local"
    local.mkdir()
    local_weights = stage_runs.train_locally(local, training_digits)
    assert_same_bits(local_weights, load_weights(folder / stages.MODELS / NAMES[-1]))


def test_killed_driver_loses_no_member_and_trains_none_twice(
    cluster: Cluster, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    for attempt in count():  # until the members did not end before the driver was killed
        folder = tmp_path / str(attempt)
        stage = begin(folder, training_digits, cluster)
        stage_runs.wait_for(stage, "trained on")
        stage.kill()
        stage.communicate()
        kept = list_states(folder)
        assert kept
        if missing := [name for name in NAMES if name not in kept]:
            break
    told = run_stage(folder, cluster.address, missing[0])
    assert sorted(list_begun(told)) == sorted(list_trained(told)) == missing


def test_members_of_a_stopped_node_go_to_another(
    cluster: Cluster, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    stage = begin(tmp_path / "project", training_digits, cluster)
    told = stage_runs.wait_for(stage, rf": on .*\({SECOND}\)")
    end(cluster.nodes[-1])
    told += stage.communicate()[0]
    assert stage.returncode == 0, told
    assert sorted(list_trained(told)) == NAMES
