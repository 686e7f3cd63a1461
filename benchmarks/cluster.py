"""Members on a Ray cluster: what survives kills, and what the bookkeeping costs.

``python -m benchmarks.cluster`` starts nodes on this machine. It needs no data: it trains on the
sample.

``--kills N`` trains eight members for two epochs on two nodes, N times, and each time kills a
worker, the second node or the driver at a random moment. Then it runs the pipeline again until it
is done. What counts, from the logs: members lost, members trained after they had come back, and
what ``dvc repro`` does afterwards. ``--namespaces`` gives the second node a network of its own
(Linux, as root).

``--sleeps N`` replaces training by a sleep of one second: seconds per task, and the memory of the
driver.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pipeline.cluster.connection import connected
from pipeline.cluster.orders import Node, Order, Trained, hash_bytes, read_versions
from pipeline.data.dataset import Provenance, TrainingDigits
from tests.cluster.nodes import Cluster, end, running_cluster
from tests.conftest import make_project, set_params

MEMBERS = [f"0-{seed}-small" for seed in range(8)]
SLOTS = 32
"""Members that sleep at a time, sixteen on each of two nodes."""

OWN, OTHER = "10.77.0.1", "10.77.0.2"
NAMESPACE = "digits-two"


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=0, metavar="N")
    parser.add_argument("--sleeps", type=int, default=0, metavar="N")
    parser.add_argument("--namespaces", action="store_true")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed, and when")
    arguments = parser.parse_args()
    if arguments.kills:
        with second_network() if arguments.namespaces else here() as join:
            measure_kills(arguments.kills, random.Random(arguments.seed), join)
    if arguments.sleeps:
        measure_sleeps(arguments.sleeps)
    if not (arguments.kills or arguments.sleeps):
        parser.error("expected --kills or --sleeps")


@contextmanager
def here() -> Iterator[dict[str, Any]]:
    """Both nodes in the network of this machine."""
    yield {"place": 2}


@contextmanager
def second_network() -> Iterator[dict[str, Any]]:
    """A network namespace, joined to this machine by two addresses."""
    commands = (
        f"ip netns add {NAMESPACE}",
        f"ip link add digits-1 type veth peer name digits-2 netns {NAMESPACE}",
        f"ip addr add {OWN}/24 dev digits-1",
        "ip link set digits-1 up",
        f"ip -n {NAMESPACE} addr add {OTHER}/24 dev digits-2",
        f"ip -n {NAMESPACE} link set digits-2 up",
        f"ip -n {NAMESPACE} link set lo up",
    )
    try:
        for command in commands:
            subprocess.run(command.split(), check=True)
        yield {"address": OTHER, "prefix": ("ip", "netns", "exec", NAMESPACE)}
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False)


# ---------------------------------------------------------------- kills


def measure_kills(times: int, generator: random.Random, join: dict[str, Any]) -> None:
    """Kill something at a random moment of each run; print a row for each."""
    print("run  killed  after   back  lost  twice  runs  dvc repro afterwards")
    with tempfile.TemporaryDirectory() as parent:
        project = prepare(Path(parent) / "project")
        for number in range(times):
            kind = ("worker", "node", "driver")[number % 3]
            with running_cluster(address=join.get("address") and OWN) as cluster:
                cluster.join(**join)
                print(f"{number:3}  {kind:6}  {kill_once(project, cluster, kind, generator)}")


def prepare(project: Path) -> Path:
    """A project of eight small members, two epochs each, whose data is prepared."""
    project.mkdir()
    make_project(project)
    set_params(
        project,
        ("max_epochs: 8", "max_epochs: 2"),
        ("decay_epochs: 7", "decay_epochs: 1"),
        ("seeds: [0]", f"seeds: {list(range(len(MEMBERS)))}"),
    )
    start(project, "", "prepare").communicate()
    shutil.copy(project / "dvc.lock", project / "prepared.lock")
    return project


def kill_once(project: Path, cluster: Cluster, kind: str, generator: random.Random) -> str:
    """A run that something kills, and runs until one ends well; its row."""
    for name in ("models", ".dvc/cache/runs"):  # or DVC would bring the members back
        shutil.rmtree(project / name, ignore_errors=True)
    shutil.copy(project / "prepared.lock", project / "dvc.lock")
    delay = generator.uniform(0, 8)
    stage = start(project, cluster.address, "train")
    log: list[str] = []
    reader = threading.Thread(target=lambda: log.extend(stage.stdout or ()), daemon=True)
    reader.start()
    while stage.poll() is None and not any(": on " in line for line in log):
        time.sleep(0.1)
    time.sleep(delay)
    kill(kind, stage, cluster)
    stage.wait()
    reader.join(timeout=10)
    before, runs = "".join(log), 1
    back = find_states(project)
    after = ""
    while True:
        again = start(project, cluster.address, "train")
        after += again.communicate()[0]
        runs += 1
        if again.returncode == 0 or runs == 5:
            break
    lost = set(MEMBERS) - find_states(project)
    twice = [name for name in re.findall(r"^(\S+): on ", after, re.MULTILINE) if name in back]
    came_back = re.findall(r"^(\S+): trained on ", before + after, re.MULTILINE)
    twice += [name for name in set(came_back) if came_back.count(name) > 1]
    last = start(project, cluster.address, "train").communicate()[0]
    status = subprocess.run(
        ["dvc", "status", "train"], cwd=project, capture_output=True, text=True, check=False
    ).stdout
    trained = len(re.findall(r": on |  epoch ", last))
    named = sorted(set(re.findall(r"^(\S+):$", status, re.MULTILINE)))
    return (
        f"{delay:5.1f}  {len(back):5}  {len(lost):4}  {len(twice):5}  {runs:4}  "
        f"{trained} trained; dvc status: {named}"
    )


def start(project: Path, address: str, stage: str) -> subprocess.Popen[str]:
    """Begin ``dvc repro`` of a stage."""
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", stage],
        cwd=project,
        env=os.environ
        | {
            "RAY_ADDRESS": address,
            "DVC_NO_ANALYTICS": "1",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill(kind: str, stage: subprocess.Popen[str], cluster: Cluster) -> None:
    """Kill −9 every worker that trains, the second node, or DVC with its driver."""
    if kind == "worker":
        for worker in cluster.workers(MEMBERS):
            worker.kill()
    elif kind == "node":
        end(cluster.nodes[-1])
    elif stage.poll() is None:
        for process in psutil.Process(stage.pid).children(recursive=True):
            process.kill()
        stage.kill()


def find_states(project: Path) -> set[str]:
    """The members whose states are here."""
    return {
        path.name.partition(".")[0] for path in (project / "models/.training").glob("[!.]*.npz")
    }


# ---------------------------------------------------------------- sleeps


def sleep_member(order: Order, data: list[Any], board: Any) -> Trained:
    """What a node does for one second instead of training."""
    time.sleep(1)
    return Trained(Node("", "one"), "state.npz", b"state", hash_bytes(b"state"))


def measure_sleeps(tasks: int) -> None:
    """Print the time of so many sleeps compared with an ideal, and the memory of the driver."""
    with running_cluster(SLOTS // 2) as cluster:
        cluster.join(2, processors=SLOTS // 2)
        with connected(cluster.address):
            from pipeline.cluster.display import ClusterDisplay
            from pipeline.cluster.scheduler import train_on_nodes

            names = [f"0-{seed}-small" for seed in range(tasks)]
            orders = [Order(name, b"", 1, 1, read_versions(), {}) for name in names]
            digits = np.zeros((42_000, 28, 28), np.uint8)
            labels = np.zeros(42_000, np.uint8)
            data = TrainingDigits(digits, labels, labels, Provenance(True, "", ""))
            kept: list[str] = []
            peak = [0]
            threading.Thread(target=watch_memory, args=(peak,), daemon=True).start()
            warm_up = orders[: 2 * SLOTS]
            for each in (warm_up, orders):
                kept.clear()
                began = time.monotonic()
                display = ClusterDisplay({order.name: 1 for order in each})
                with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
                    train_on_nodes(
                        each, data, lambda name, _: kept.append(name), display, sleep_member
                    )
                seconds = time.monotonic() - began
    ideal = tasks / SLOTS
    print(
        f"{len(kept):,} sleeps of 1 s, {SLOTS} at a time: {seconds:.0f} s (ideal {ideal:.0f} s, "
        f"{seconds / ideal:.2f} times); {1000 * (seconds - ideal) / tasks:.1f} ms per task; driver "
        f"{peak[0] / 1e6:,.0f} MB at most"
    )


def watch_memory(peak: list[int]) -> None:
    """Note the most memory that this process holds."""
    process = psutil.Process()
    while True:
        peak[0] = max(peak[0], process.memory_info().rss)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
