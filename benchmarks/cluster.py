"""Members on a Ray cluster of two nodes: what survives kills, and what the bookkeeping costs.

It needs no data: it trains on the sample. On Linux, as root, each node has an address of its own,
the second one a network of its own. Without an option, all is measured:

``--kills 10`` trains `record`, cut down to eight members of two epochs, so many times, and each
time kills a worker, the second node or the driver at a random moment. Then it runs the pipeline
again. What counts, from the logs: runs until one ends well, members lost, members trained again
after they had come back, and what DVC finds to do afterwards.

``--members 200`` trains so many small members of one epoch on the cluster, and some of them in two
processes without a cluster: how much longer the cluster takes.

``--sleeps 2000`` replaces training by a sleep of one second: seconds for each task, and the memory
of the driver.
"""

import argparse
import os
import random
import re
import shutil
import signal
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
from ruamel.yaml import YAML

from pipeline.cluster.connection import connected
from pipeline.cluster.orders import Node, Order, Trained, hash_bytes, read_versions
from pipeline.data.dataset import Provenance, TrainingDigits
from tests.cluster.logs import list_begun, list_states, list_trained
from tests.cluster.nodes import Cluster, end, running_cluster
from tests.conftest import environment, make_project, run, set_params

CUT_DOWN = {
    "ensemble": {"networks": ["residual3", "pooled5"], "folds": [0, 1, 2, 3]},
    "train": {"max_epochs": 2, "decay_epochs": 1},
}
"""What makes eight members of two epochs of `record`."""

MEMBERS = [f"{fold}-0-{network}" for fold in range(4) for network in ("residual3", "pooled5")]

SLOTS = 32
"""Members that sleep at a time, sixteen on each of two nodes."""

OWN, OTHER = "10.77.0.1", "10.77.0.2"


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, metavar="N")
    parser.add_argument("--members", type=int, metavar="N")
    parser.add_argument("--sleeps", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed, and when")
    arguments = parser.parse_args()
    wanted = arguments.kills, arguments.members, arguments.sleeps
    kills, members, sleeps = wanted if any(wanted) else (10, 200, 2000)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nodes and networks end as well
    with two_networks() as places, tempfile.TemporaryDirectory() as parent:
        if kills:
            measure_kills(kills, Path(parent), places, random.Random(arguments.seed))
        if members:
            measure_members(members, Path(parent), places)
        if sleeps:
            measure_sleeps(sleeps, places)


Places = tuple[str | None, dict[str, Any]]
"""The first node's address, and how the second one joins."""


@contextmanager
def two_networks() -> Iterator[Places]:
    """Where two nodes run: in networks of their own, if this system and its user can."""
    if sys.platform != "linux" or os.geteuid() or not shutil.which("ip"):
        yield None, {"place": 2}
        return
    namespace, link = f"digits-{os.getpid()}", f"digits{os.getpid()}"
    commands = (
        f"ip netns add {namespace}",
        f"ip link add {link} type veth peer name other netns {namespace}",
        f"ip addr add {OWN}/24 dev {link}",
        f"ip link set {link} up",
        f"ip -n {namespace} addr add {OTHER}/24 dev other",
        f"ip -n {namespace} link set other up",
        f"ip -n {namespace} link set lo up",
    )
    try:
        for command in commands:
            subprocess.run(command.split(), check=True)
        prefix = ("ip", "netns", "exec", namespace, sys.executable)
        yield OWN, {"address": OTHER, "prefix": prefix}
    finally:
        subprocess.run(["ip", "netns", "delete", namespace], check=False)


@contextmanager
def two_nodes(places: Places, processors: int = 1) -> Iterator[Cluster]:
    """A cluster of two nodes."""
    address, second = places
    with running_cluster(processors, address) as cluster:
        cluster.join(processors=processors, **second)
        yield cluster


# ---------------------------------------------------------------- kills


def measure_kills(times: int, parent: Path, places: Places, generator: random.Random) -> None:
    """Kill something at a random moment of each run; print a row for each."""
    print("run  killed  after   back  runs  lost  twice  dvc repro afterwards", flush=True)
    project = prepare_record(parent / "record")
    for number in range(times):
        kind = ("worker", "node", "driver")[number % 3]
        with two_nodes(places) as cluster:
            row = kill_once(project, cluster, kind, generator)
        print(f"{number:3}  {kind:6}  {row}", flush=True)


def prepare_record(project: Path) -> Path:
    """A project of `record`, cut down, whose data is prepared."""
    make_project(project)
    run(project, "digits", "profile", "record")
    yaml = YAML()
    settings = yaml.load(project / "params.yaml")
    for section, values in CUT_DOWN.items():
        settings[section].update(values)
    yaml.dump(settings, project / "params.yaml")
    run(project, "dvc", "repro", "prepare")
    shutil.copy(project / "dvc.lock", project / "prepared.lock")
    return project


def kill_once(project: Path, cluster: Cluster, kind: str, generator: random.Random) -> str:
    """A run that something kills, and runs until one ends well; its row."""
    for name in ("models", ".dvc/cache/runs"):  # or DVC would bring the members back
        shutil.rmtree(project / name, ignore_errors=True)
    shutil.copy(project / "prepared.lock", project / "dvc.lock")
    lines, delay = generator.randint(1, 2 * len(MEMBERS) - 2), generator.uniform(0, 2)
    stage = start(project, cluster.address)
    before = read_lines(stage, lines)
    time.sleep(delay)
    kill(kind, stage, cluster)
    before += stage.communicate()[0]
    back = list_states(project)
    after, ended, runs = "", stage.returncode == 0, 1
    while not ended and runs < 5:
        again = start(project, cluster.address)
        after += again.communicate()[0]
        ended, runs = again.returncode == 0, runs + 1
    lost = set(MEMBERS) - list_states(project)
    twice = [name for name in list_begun(after) if name in back]
    came_back = list_trained(before + after)
    twice += [name for name in set(came_back) if came_back.count(name) > 1]
    last = start(project, cluster.address).communicate()[0]
    status = run(project, "dvc", "status", "--with-deps", "train")
    named = sorted(set(re.findall(r"^(\S+):$", status, re.MULTILINE)))
    moment = f"{lines:2} lines, {delay:.1f} s"
    return (
        f"{moment:15}  {len(back):4}  {runs if ended else 'none':4}  {len(lost):4}  "
        f"{len(twice):5}  {len(list_begun(last)) + last.count('  epoch')} trained; "
        f"dvc status: {', '.join(named)}"
    )


def start(project: Path, address: str) -> subprocess.Popen[str]:
    """Begin ``dvc repro train``."""
    return subprocess.Popen(
        ["dvc", "repro", "train"],
        cwd=project,
        env=environment(project) | {"RAY_ADDRESS": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_lines(stage: subprocess.Popen[str], count: int) -> str:
    """What is printed until so many members have begun or come back."""
    told = ""
    for line in stage.stdout or ():
        told += line
        if len(list_begun(told)) + len(list_trained(told)) == count:
            break
    return told


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


# ---------------------------------------------------------------- members

COMPARED = 40
"""Members that two processes train without a cluster."""

WARM_UP = 4
"""Of them, that are not counted: the processes import TensorFlow."""


def measure_members(members: int, parent: Path, places: Places) -> None:
    """Print the time of small members of one epoch compared with that of two local processes."""
    project = make_project(parent / "members")
    set_params(
        project,
        ("seeds: [0]", f"seeds: {list(range(members))}"),
        ("max_epochs: 8", "max_epochs: 1"),
        ("warmup_epochs: 1", "warmup_epochs: 0"),
        ("decay_epochs: 7", "decay_epochs: 1"),
    )
    run(project, "dvc", "repro", "prepare")
    seconds_each = time_local(project)
    ideal = members * seconds_each
    shutil.rmtree(project / "models")
    with two_nodes(places) as cluster:
        began = time.monotonic()
        with stage(project, cluster.address) as first:
            first.communicate()
        seconds = time.monotonic() - began
    assert first.returncode == 0 and len(list_states(project)) == members
    print(
        f"{members} members of one epoch: {seconds:.0f} s on two nodes; without a cluster, in two "
        f"processes that are warm, {ideal:.0f} s ({COMPARED - WARM_UP} measured); "
        f"{seconds / ideal:.2f} times"
    )


def time_local(project: Path) -> float:
    """Seconds for each member, two processes side by side and warm."""
    helpers = [stage(project, "", "--ahead", "--threads=1") for _ in range(2)]
    try:
        while len(list_states(project)) < COMPARED:
            assert all(helper.poll() is None for helper in helpers)
            time.sleep(0.5)
    finally:
        for helper in helpers:
            helper.kill()
            helper.communicate()
    finished = sorted(path.stat().st_mtime for path in project.glob("models/.training/[!.]*.npz"))
    return (finished[COMPARED - 1] - finished[WARM_UP - 1]) / (COMPARED - WARM_UP)


def stage(project: Path, address: str, *options: str) -> subprocess.Popen[bytes]:
    """Begin the train stage of the first member, without DVC."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.stages.train", "0-0-small", *options],
        cwd=project,
        env=environment(project) | {"RAY_ADDRESS": address},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


# ---------------------------------------------------------------- sleeps


def sleep_member(order: Order, data: list[Any], mailbox: Any) -> Trained:
    """What a node does for one second instead of training."""
    time.sleep(1)
    return Trained(Node("", "one"), "state.npz", b"state", hash_bytes(b"state"))


def measure_sleeps(tasks: int, places: Places) -> None:
    """Print the time of so many sleeps compared with an ideal, and the memory of the driver."""
    with two_nodes(places, SLOTS // 2) as cluster, connected(cluster.address):
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
                train_on_nodes(each, data, lambda name, _: kept.append(name), display, sleep_member)
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
