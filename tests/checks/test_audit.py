"""The audit, against a database of vulnerabilities on loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from checks import audit


class Database(ThreadingHTTPServer):
    """Answers as OSV does.

    Attributes:
        vulnerable: names of packages all of whose versions have a hole.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.vulnerable = {"jinja2"}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/query"


class Handler(BaseHTTPRequestHandler):
    server: Database

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = asked["package"]["name"]
        hole = {
            "id": f"PYSEC-{name}",
            "summary": "a hole",
            "affected": [
                {
                    "package": {"name": name, "ecosystem": "PyPI"},
                    "ranges": [
                        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}
                    ],
                    "versions": [asked["version"]],
                }
            ],
        }
        answer = json.dumps({"vulns": [hole]} if name in self.server.vulnerable else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def database() -> Iterator[Database]:
    with Database() as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.lock"
    path.write_text("pillow==13.0.0\n")
    return path


def test_packages_without_known_vulnerabilities_pass(
    database: Database, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main([str(lock), "--osv-url", database.url]) == 0
    assert capsys.readouterr().out.startswith("1 package looked up, 0 with known")


def test_vulnerable_package_is_named(
    database: Database, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database.vulnerable.add("pillow")
    assert audit.main([str(lock), "--osv-url", database.url]) == 1
    said = capsys.readouterr().out
    for word in ("pillow", "13.0.0", "PYSEC-pillow", "99"):
        assert word in said


def test_database_that_knows_no_vulnerability_at_all_proves_nothing(
    database: Database, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database.vulnerable.clear()
    assert audit.main([str(lock), "--osv-url", database.url]) == 2
    assert "proves nothing: no vulnerability of jinja2==2.4.1" in capsys.readouterr().err


def test_database_out_of_reach_proves_nothing(
    database: Database, lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database.shutdown()
    database.server_close()
    assert audit.main([str(lock), "--osv-url", database.url]) == 2
    assert "The audit proves nothing" in capsys.readouterr().err
