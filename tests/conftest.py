"""Small seeded digits, and a project folder to run commands in."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from pipeline.data.dataset import Provenance, TrainingDigits, UnlabelledDigits
from tests.dvc_calls import run_dvc

pytest_plugins = ["tests.browser", "tests.handdrawn", "tests.kaggle_fixtures"]

# nbformat's validator would compile every rule of this grammar of addresses, for two seconds.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

# Otherwise each process under test compiles the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

ROOT = Path(__file__).parent.parent
PROJECT_FILES = (
    "dvc.yaml",
    "params.yaml",
    ".dvcignore",
    ".gitignore",
    ".dvc/config",
    ".dvc/.gitignore",
    "pipeline",
)


PARAMS = (ROOT / "params.yaml").read_text(encoding="utf-8")


LONGEST = (
    "tests/test_end_to_end.py",
    "tests/notebooks/test_end_to_end.py",
    "tests/test_bootstrap.py",
    "tests/cli/test_compare.py",
    "tests/test_kaggle_end_to_end.py",
    "tests/comparison/test_end_to_end.py",
)
"""The files that take longest begin: so no worker waits long for another at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of `LONGEST` first, in its order."""
    places = {ROOT / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


PROCESSORS = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
"""Those that the tests may use; none are known outside of Linux."""


def pytest_sessionstart() -> None:
    """Let commands under test be interrupted, also where the shell's ``&`` had that ignored.

    Each worker gets a share of the processors. Where workers share them all, threads that wait for
    each other lose theirs to another worker.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
    if worker.isdecimal() and len(PROCESSORS) >= workers:
        share = sorted(PROCESSORS)[int(worker) % workers :: workers]
        for thread in Path("/proc/self/task").iterdir():  # NumPy has started some
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), share)


@pytest.fixture(scope="module")
def all_processors() -> Iterator[None]:
    """For commands of a module's tests, not only the worker's share."""
    if not PROCESSORS:
        yield
        return
    share = os.sched_getaffinity(0)
    os.sched_setaffinity(0, PROCESSORS)
    yield
    os.sched_setaffinity(0, share)


def build_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """A folder that ``build`` fills for the first worker that needs it; nobody changes it later."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    finished = folder.with_name(f"{name}.finished")
    with FileLock(folder.with_name(f"{name}.lock")):
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            finished.touch()
    return folder


@pytest.fixture(scope="session")
def training_digits() -> TrainingDigits:
    """Those of `make_training_digits`."""
    return make_training_digits()


def make_training_digits() -> TrainingDigits:
    """Sixty images, six of each digit: a bright bar at a height that tells the digit, and noise."""
    generator = np.random.default_rng(0)
    labels = np.tile(np.arange(10, dtype=np.uint8), 6)
    images = generator.integers(0, 60, (60, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[4 + 2 * label : 6 + 2 * label, 4:24] = 255
    folds = np.repeat(np.arange(3, dtype=np.uint8), 20)
    for array in (images, labels, folds):
        array.flags.writeable = False
    return TrainingDigits(images, labels, folds, Provenance(True, "a" * 64, "b" * 64))


@pytest.fixture(scope="session")
def test_digits(training_digits: TrainingDigits) -> UnlabelledDigits:
    """Twenty of the training images, to be labelled."""
    return UnlabelledDigits(training_digits.images[:20], training_digits.provenance)


def make_project(folder: Path, *, git: bool = True) -> Path:
    """Copy the project as a fresh clone, cut down to few epochs of one network, and to few images
    that are refined with neighbours."""
    for name in PROJECT_FILES:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            half_written = shutil.ignore_patterns("*.pyc.*")  # by a process that compiles
            shutil.copytree(source, target, ignore=half_written)
        else:
            shutil.copy(source, target)
    set_params(
        folder,
        SMALL_NETWORK,
        ("max_epochs: 36", "max_epochs: 8"),
        ("decay_epochs: 8", "decay_epochs: 7"),
        ("learning_rate: 0.001", "learning_rate: 0.003"),
        FEW_NEIGHBOURS,
    )
    if git:
        run(folder, "git", "init", "--quiet", "--initial-branch=main")
        run(folder, "git", "config", "user.name", "Tester")
        run(folder, "git", "config", "user.email", "tester@example.org")
        run(folder, "git", "add", ".")
        run(folder, "git", "commit", "--quiet", "--message=start")
    else:
        (folder / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    return folder


(LISTED_NETWORK,) = re.findall(
    r"^  pooled3: {.*?^  networks: .pooled3.", PARAMS, re.DOTALL | re.MULTILINE
)


def list_networks(**networks: str) -> str:
    """What stands in ``params.yaml`` in place of `LISTED_NETWORK` to define and list others.

    Args:
        networks: by name, an architecture and views, such as ``pooled_cnn, [[deskew]]``.
    """
    text: str = LISTED_NETWORK.partition("\n")[2].replace("[pooled3]", f"[{', '.join(networks)}]")
    for name, network in reversed(networks.items()):
        architecture, _, views = network.partition(", ")
        text = f"  {name}: {{architecture: {architecture}, preprocessing: {views}}}\n{text}"
    return text


FEW_NEIGHBOURS = "confidence_threshold: 0.98", "confidence_threshold: 0.6"
"""What has few predictions refined with neighbours, which takes long, for `set_params`."""

SMALL = {"small": "pooled_cnn, [[]]"}
SMALL_NETWORK = LISTED_NETWORK, list_networks(**SMALL)
"""What makes ``params.yaml`` list a smaller network that knows one view, for `set_params`."""


def add_networks(**networks: str) -> tuple[str, str]:
    """What makes ``params.yaml`` list others after `SMALL_NETWORK`, for `set_params`."""
    return SMALL_NETWORK[1], list_networks(**SMALL, **networks)


def set_params(folder: Path, *changes: tuple[str, str]) -> None:
    """Replace text in ``params.yaml``; each must be there."""
    replace_text(folder / "params.yaml", *changes)


def replace_text(path: Path, *changes: tuple[str, str]) -> None:
    """Replace text in a file; each must be there."""
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def modules_after(code: str) -> set[str]:
    """The modules that a fresh Python has imported once it ran ``code`` in the current folder."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def environment(folder: Path) -> dict[str, str]:
    """An environment without credentials, in which ``python``, ``dvc`` and ``digits`` are these."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return kept | {"PATH": path, "HOME": str(home), "COLUMNS": "200", "DVC_NO_ANALYTICS": "1"}


def run(folder: Path, *command: str, status: int = 0) -> str:
    """Run a command in ``folder``, expect an exit status, and give what it printed."""
    if command[0] == "dvc":
        ended, printed = run_dvc(folder, command[1:], environment(folder))
        assert ended == status, printed
        return printed
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary current folder that holds the project's ``params.yaml``."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
