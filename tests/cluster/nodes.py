"""Real nodes of a real Ray cluster on this machine, on Linux each with an address of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
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

    def __init__(self, processors: int, address: str | None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ray"))  # sockets have short paths
        self.nodes: list[subprocess.Popen[bytes]] = []
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        host = address or "127.0.0.1"
        self.address = f"{host}:{port}"
        self._start(
            "--head",
            f"--port={port}",
            f"--node-ip-address={host}",
            "--include-dashboard=false",
            f"--temp-dir={self._folder}",
            f"--num-cpus={processors}",
        )

    def join(
        self,
        place: int = 0,
        *,
        address: str | None = None,
        processors: int = 1,
        prefix: Sequence[str] = (),
        **variables: str,
    ) -> subprocess.Popen[bytes]:
        """Start another node; the process that ends it.

        Args:
            place: the end of its loopback address, where the system has several.
            address: its own, instead of a loopback address.
            processors: how many it has.
            prefix: of the command.
            variables: of its environment.
        """
        if address is None and sys.platform == "linux":
            address = f"127.0.0.{place}"
        own = [f"--node-ip-address={address}"] if address else []
        return self._start(
            f"--address={self.address}",
            f"--num-cpus={processors}",
            *own,
            prefix=prefix,
            **variables,
        )

    def _start(
        self, *options: str, prefix: Sequence[str] = (), **variables: str
    ) -> subprocess.Popen[bytes]:
        log = self._folder / f"node{len(self.nodes)}.log"
        with log.open("wb") as output:
            node = subprocess.Popen(
                [
                    *prefix,
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

    def workers(self, members: Collection[str]) -> list[psutil.Process]:
        """The processes that train one of these members just now."""
        return [
            process
            for node in self.nodes
            if node.poll() is None
            for process in psutil.Process(node.pid).children(recursive=True)
            if process.name().removeprefix("ray::") in members
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
def running_cluster(processors: int = 1, address: str | None = None) -> Iterator[Cluster]:
    """A cluster whose head node has so many processors and that address, until the block ends."""
    cluster = Cluster(processors, address)
    try:
        yield cluster
    finally:
        cluster.stop()


def stage_environment(address: str, **variables: str) -> dict[str, str]:
    """The variables in which a train stage uses the cluster."""
    return os.environ | {"RAY_ADDRESS": address, "PYTHONPATH": str(ROOT), **variables}
