"""Real nodes of a real Ray cluster on this machine, on Linux each with an address of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from tests.conftest import ROOT

_SECONDS_TO_START = 120


class Cluster:
    """A head node, and nodes that join it.

    Attributes:
        address: for ``RAY_ADDRESS``.
        nodes: the processes that end them, in the order of their start.
    """

    def __init__(self, processors: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ray"))  # sockets have short paths
        self.nodes: list[subprocess.Popen[bytes]] = []
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self._start(
            "--head",
            f"--port={port}",
            "--node-ip-address=127.0.0.1",
            "--include-dashboard=false",
            f"--temp-dir={self._folder}",
            f"--num-cpus={processors}",
        )

    def join(self, place: int, **variables: str) -> subprocess.Popen[bytes]:
        """Start a node with one processor; the process that ends it."""
        own = [f"--node-ip-address=127.0.0.{place}"] if sys.platform == "linux" else []
        return self._start(f"--address={self.address}", "--num-cpus=1", *own, **variables)

    def _start(self, *options: str, **variables: str) -> subprocess.Popen[bytes]:
        log = self._folder / f"node{len(self.nodes)}.log"
        with log.open("wb") as output:
            node = subprocess.Popen(
                [
                    *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block"),
                    *("--disable-usage-stats", "--object-store-memory=80000000", *options),
                ],
                env=os.environ | variables,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.nodes.append(node)
        end = time.monotonic() + _SECONDS_TO_START
        while b"Ray runtime started" not in log.read_bytes():
            assert node.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        return node

    def workers(self) -> list[psutil.Process]:
        """The processes that train a member just now."""
        return [
            process
            for node in self.nodes
            if node.poll() is None
            for process in psutil.Process(node.pid).children(recursive=True)
            if process.name().startswith("ray::") and "train_member" in process.name()
        ]

    def stop(self) -> None:
        """End all nodes."""
        for node in reversed(self.nodes):
            end(node)
        shutil.rmtree(self._folder, ignore_errors=True)


def end(node: subprocess.Popen[bytes]) -> None:
    """End a node with all its processes."""
    with ExitStack() as stack:
        children = psutil.Process(node.pid).children(recursive=True) if node.poll() is None else []
        for child in children:
            stack.callback(_kill, child)
        node.send_signal(signal.SIGKILL)
    node.wait()


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


@contextmanager
def running_cluster(processors: int = 1) -> Iterator[Cluster]:
    """A cluster whose head node has so many processors, until the block ends."""
    cluster = Cluster(processors)
    try:
        yield cluster
    finally:
        cluster.stop()


def stage_environment(address: str, **variables: str) -> dict[str, str]:
    """The variables in which a train stage uses the cluster."""
    return os.environ | {"RAY_ADDRESS": address, "PYTHONPATH": str(ROOT), **variables}
