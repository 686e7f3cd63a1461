"""Fixtures for tests against `kaggle_server`; all test modules have them.

After each test everything in its folder, terminal output included, is searched for secrets.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.errors import exit_status
from pipeline.kaggle.session import Timeouts
from tests.competition import make_hollow_archive
from tests.kaggle_server import (
    KEY,
    TRACES,
    USERNAME,
    Kaggle,
    make_certificates,
    plain_environment,
    serving,
    tls_environment,
)

REPOSITORY = Path(__file__).parent.parent
QUICK = Timeouts(
    timeout_seconds=10, tries=3, delay_seconds=0.01, scoring_seconds=5, polling_seconds=0.01
)
GOOD_KEY = {"KAGGLE_USERNAME": USERNAME, "KAGGLE_KEY": KEY}
_CREDENTIAL_FILES = ("kaggle.json", "access_token", "access_token.txt", "credentials.json")


@dataclass(frozen=True)
class Outcome:
    """How a process, or a function run like one, ended.

    Attributes:
        status: its exit status.
        stdout: what it printed.
        stderr: what it complained about, line breaks as spaces.
    """

    status: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def kaggle_archive() -> bytes:
    return make_hollow_archive()


@pytest.fixture(scope="session")
def kaggle_certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


@pytest.fixture
def kaggle(kaggle_archive: bytes, kaggle_certificates: Path, tmp_path: Path) -> Iterator[Kaggle]:
    with serving(kaggle_archive, kaggle_certificates) as state:
        yield state
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.name not in _CREDENTIAL_FILES:
            content = path.read_bytes()
            assert not any(trace in content for trace in TRACES), path


@pytest.fixture
def kaggle_project(
    kaggle: Kaggle,
    kaggle_certificates: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """An empty folder to work in; this process meets the server as production, with a good key."""
    environment = tls_environment(kaggle, tmp_path / "home", kaggle_certificates) | GOOD_KEY
    for name in os.environ.keys() - environment.keys():
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def kaggle_outcome(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[[Callable[[], object]], Outcome]:
    """Run a function as a stage or command would, and tell how it ended."""

    def run(main: Callable[[], object]) -> Outcome:
        status = exit_status(main)
        captured = capfd.readouterr()
        _keep(tmp_path, captured.out + captured.err)
        return Outcome(status, captured.out, " ".join(captured.err.split()))

    return run


@dataclass(frozen=True)
class Shell:
    """Starts processes in a folder, in an environment of its own."""

    folder: Path
    environment: dict[str, str]
    records: Path

    def run(self, *command: str, **variables: str) -> Outcome:
        """Run a command to its end."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=200,
        )
        _keep(self.records, done.stdout + done.stderr)
        return Outcome(done.returncode, done.stdout, " ".join(done.stderr.split()))

    def interrupt(self, *command: str, when: Callable[[], None], **variables: str) -> Outcome:
        """Run a command and, after ``when()`` returned, press Ctrl-C: all its processes get it."""
        return self._end(command, when, signal.SIGINT, variables)

    def kill(self, *command: str, when: Callable[[], None], **variables: str) -> Outcome:
        """Run a command and, after ``when()`` returned, kill all its processes."""
        return self._end(command, when, signal.SIGKILL, variables)

    def _end(
        self,
        command: tuple[str, ...],
        when: Callable[[], None],
        by: signal.Signals,
        variables: dict[str, str],
    ) -> Outcome:
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        signal.signal(signal.SIGINT, previous)
        try:
            when()
        finally:
            os.killpg(process.pid, by)
            stdout, stderr = process.communicate(timeout=60)
        _keep(self.records, stdout + stderr)
        return Outcome(process.returncode, stdout, " ".join(stderr.split()))


@pytest.fixture
def kaggle_shell(kaggle: Kaggle, tmp_path: Path) -> Shell:
    """Processes that meet the server without TLS and have no credentials."""
    return _shell(plain_environment(kaggle, tmp_path / "home"), tmp_path)


@pytest.fixture
def kaggle_tls_shell(kaggle: Kaggle, tmp_path: Path, kaggle_certificates: Path) -> Shell:
    """Processes that meet the server as production and have no credentials."""
    return _shell(tls_environment(kaggle, tmp_path / "home", kaggle_certificates), tmp_path)


def _shell(environment: dict[str, str], folder: Path) -> Shell:
    (folder / "project").mkdir(exist_ok=True)
    variables = environment | {"PYTHONPATH": str(REPOSITORY)}
    return Shell(folder / "project", variables, folder)


def _keep(folder: Path, output: str) -> None:
    with (folder / "terminal.txt").open("a", encoding="utf-8") as file:
        file.write(output)
