"""Clusters that cannot be used: each is told within seconds."""

import importlib.util
import socket
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from pipeline.cluster import connection
from pipeline.errors import ClusterError
from tests.conftest import modules_after


def refuse(address: str) -> str:
    """What is told of an address that is no usable cluster."""
    with pytest.raises(ClusterError) as caught:
        connection.check_address(address)
    return str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "10.0.0.1:",
        "10.0.0.1:six",
        "10.0.0.1:70000",
        "ray://10.0.0.1:10001",
        "one..two:6379",
        f"{'one' * 30}:6379",
    ],
)
def test_what_is_no_address_is_named(address: str) -> None:
    told = refuse(address)
    assert f"RAY_ADDRESS is {address!r}, expected HOST:PORT" in told
    assert told.endswith("To train on this machine, run before: unset RAY_ADDRESS")


def test_address_where_nothing_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    told = refuse(f"127.0.0.1:{closed}")
    assert f"No cluster answers at RAY_ADDRESS=127.0.0.1:{closed}: Connection refused" in told


class Page(BaseHTTPRequestHandler):
    """Answers in HTTP 1."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_address_from_which_no_answer_comes_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "_SECONDS_TO_CONNECT", 0.2)
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        with suppress(TimeoutError):
            while True:  # until the system drops whoever calls
                stack.enter_context(socket.create_connection(server.getsockname(), 0.2))
        told = refuse("127.0.0.1:{1}".format(*server.getsockname()))
    assert "No cluster answers at RAY_ADDRESS=" in told and ": timed out. " in told


def test_address_where_something_else_listens_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_SECONDS_TO_ANSWER", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        HTTPServer(("127.0.0.1", 0), Page) as web,
    ):
        Thread(target=web.serve_forever, daemon=True).start()
        for server in (silent, web.socket):
            told = refuse("127.0.0.1:{1}".format(*server.getsockname()))
            assert "but it is not the head node of a Ray cluster" in told
        web.shutdown()


def test_missing_ray_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "Ray is not installed" in refuse("127.0.0.1:9")
    assert "pip install -e '.[cluster]'" in refuse("127.0.0.1:9")


def test_nothing_of_ray_is_imported_until_a_cluster_is_used() -> None:
    assert "ray" not in modules_after("import pipeline.cluster.members")


def test_driver_does_without_tensorflow() -> None:
    assert {"tensorflow", "keras"}.isdisjoint(modules_after("import pipeline.cluster.driver"))
