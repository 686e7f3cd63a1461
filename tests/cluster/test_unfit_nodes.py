"""Real nodes that cannot train: each is named, with what to do, and nothing is half-written."""

import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from pipeline.data.dataset import TrainingDigits
from tests.cluster import logs, stage_runs
from tests.cluster.nodes import STORE_BYTES, Cluster, running_cluster
from tests.conftest import ROOT

pytestmark = pytest.mark.timeout(1800)

FILL = """
import sys, numpy, ray
from ray.exceptions import OutOfDiskError

class Filler:
    def fill(self):
        self.held = []
        for size in 10_000_000, 1_000_000, 100_000, 10_000, 1_000:
            try:
                while True:
                    # What is in use is not moved to the disk.
                    self.held.append(ray.get(ray.put(numpy.zeros(size, numpy.uint8))))
            except OutOfDiskError:
                pass

ray.init(sys.argv[1], log_to_driver=False)
filler = ray.remote(Filler).options(num_cpus=0, resources={"full": 1}).remote()
ray.get(filler.fill.remote())
print("it is full", flush=True)
sys.stdin.read()
"""
"""Fills the object store of the node with the resource ``full``, until standard input ends."""

RETURN = """
import sys
import numpy as np
from pipeline.cluster.connection import connected
from pipeline.cluster.display import ClusterDisplay
from pipeline.cluster.orders import Node, Order, Trained, hash_bytes
from pipeline.cluster.scheduler import train_on_nodes
from pipeline.data.dataset import Provenance, TrainingDigits
from pipeline.errors import ClusterError

def work(order, data, mailbox):
    state = bytes(order.last_epoch)
    return Trained(Node("", "one"), "state.npz", state, hash_bytes(state))

address, size, processors = sys.argv[1], *map(int, sys.argv[2:])
order = Order("0-0-small", b"", size, processors, {}, {})
rows = np.zeros(1, np.uint8)
digits = TrainingDigits(np.zeros((1, 28, 28), np.uint8), rows, rows, Provenance(True, "", ""))
with connected(address):
    try:
        train_on_nodes([order], digits, lambda *_: print("kept"), ClusterDisplay({}), work)
    except ClusterError as error:
        print(error)
"""
"""Has a node with so many processors return a state of so many bytes."""


def make_bare_environment(folder: Path) -> Path:
    """An environment that has Ray and what Ray needs, and no other package; its Python."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    wanted, found = ["ray"], set[str]()
    while wanted:
        package = distribution(wanted.pop())
        if package.name in found:
            continue
        found.add(package.name)
        for top in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            (packages / top).symlink_to(str(package.locate_file(top)))
        for needed in map(Requirement, package.requires or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                wanted.append(needed.name)
    return folder / "bin/python"


def write_clock_of_tomorrow(folder: Path) -> Path:
    """A folder for ``PYTHONPATH`` that sets Python's clock a day ahead."""
    (folder / "sitecustomize.py").write_text(
        "import time\nright = time.time\ntime.time = lambda: right() + 86_400\n"
    )
    return folder


@pytest.fixture(scope="module", autouse=True)
def token() -> Iterator[None]:
    """Nodes and drivers show each other a token, which is Ray's way to keep others out."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
        yield


@pytest.fixture(scope="module")
def cluster(token: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head node that does not train, and three nodes that cannot."""
    bare = make_bare_environment(tmp_path_factory.mktemp("bare"))
    tomorrow = write_clock_of_tomorrow(tmp_path_factory.mktemp("tomorrow"))
    larger = f"--object-store-memory={3 * STORE_BYTES}"
    with running_cluster(0) as running:
        running.join(2, prefix=[str(bare)])
        running.join(3, larger, processors=2, PYTHONPATH=str(tomorrow))
        running.join(4, '--resources={"full": 1}')
        yield running


@pytest.fixture
def full_node(cluster: Cluster) -> Iterator[None]:
    """The last node's object store is full."""
    command = [sys.executable, "-c", FILL, cluster.address]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as filler:
        assert stage_runs.wait_for(filler, "it is full")
        yield
        filler.communicate()


def test_nodes_that_cannot_train_are_named_with_the_cure(
    cluster: Cluster, full_node: None, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    stage_runs.make_folder(tmp_path, training_digits)
    told = stage_runs.run_stage(tmp_path, cluster.address, status=1)
    problems = [
        rf"numpy is missing, expected {np.__version__}; .*; tensorflow is missing, .*",
        r"its clock is 1 day, 0:00:00 ahead of the driver's: set it right",
        r"its object store is full: end other work there, or start Ray there with a larger .*",
    ]
    for place, problem in enumerate(problems, 2):
        address = rf"127\.0\.0\.{place}" if sys.platform == "linux" else r"[\d.]+"
        assert len(re.findall(rf"^left out: .*\({address}\): {problem}$", told, re.MULTILINE)) == 1
    assert re.search(
        "error: No node of the cluster can train .*its clock .*Nothing was trained", told
    )
    assert "Traceback" not in told
    assert not logs.list_begun(told)
    assert not logs.list_states(tmp_path)


def test_driver_without_the_token_is_told_so(
    cluster: Cluster, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    stage_runs.make_folder(tmp_path, training_digits)
    told = stage_runs.run_stage(tmp_path, cluster.address, status=1, RAY_AUTH_MODE="disabled")
    assert re.search(r"^error: The cluster at \S+ cannot be used: .*token", told, re.MULTILINE)
    assert "Traceback" not in told


def test_data_too_large_for_the_object_store_is_told(
    cluster: Cluster, training_digits: TrainingDigits, tmp_path: Path
) -> None:
    rows = np.resize(np.arange(len(training_digits.labels)), 1 + STORE_BYTES // 784)
    large = TrainingDigits(
        training_digits.images[rows],
        training_digits.labels[rows],
        training_digits.folds[rows],
        training_digits.provenance,
    )
    stage_runs.make_folder(tmp_path, large)
    told = stage_runs.run_stage(tmp_path, cluster.address, status=1)
    assert (
        "error: Ray's object store on this machine is full: the training data needs 80 MB" in told
    )
    assert "--object-store-memory, then run the same command again" in told
    assert not logs.list_states(tmp_path)


@pytest.mark.parametrize(
    ("stores", "message"),
    [
        (0.5, "kept"),
        (2, "Ray's object store on this machine is full: 0-0-small cannot come back."),
        (4, "0-0-small: failed: it is trained, but the object store of its node is full"),
    ],
)
def test_state_too_large_for_an_object_store_is_told(
    stores: float, message: str, cluster: Cluster
) -> None:
    large = str(int(stores * STORE_BYTES))
    command = [sys.executable, "-c", RETURN, cluster.address, large, "2"]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert message in done.stdout
    assert done.stderr == ""
