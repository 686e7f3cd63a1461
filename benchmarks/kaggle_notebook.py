"""Run the notebook of Kaggle from top to bottom in a tree like Kaggle's: seconds of each cell.

A tree of its own (Linux) has the competition's files below ``/kaggle/input``, read-only, an empty
``/kaggle/working`` and ``/tmp``, another Python, Kaggle's variables and no Git. The images are
scikit-learn's, in the competition's form and number. The notebook is the one that ``digits kaggle
run`` sends; with ``--wheels`` it is the one of the repository, with code and packages attached, and
there is no network.

    python -m benchmarks.kaggle_notebook
    python -m benchmarks.kaggle_notebook --wheels DIR
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.data import tables
from pipeline.data.sources import archive, sample
from pipeline.submissions import file as submission
from pipeline.submissions import kernel_folder

ROOT = Path(__file__).parent.parent
LEFT = {"metrics.json", "report.html", "submission.csv", "submission.json"}
"""What the notebook leaves in ``/kaggle/working``."""

ENVIRONMENT = {
    "HOME": "/image/home",
    "KAGGLE_KERNEL_RUN_TYPE": "Batch",
    "KERAS_BACKEND": "jax",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PATH": "/image/bin:/usr/local/bin:/usr/bin:/bin",
    "PYTHONPATH": "/kaggle/lib/kagglegym:/kaggle/lib",
    "UV_SYSTEM_PYTHON": "1",
}

NETWORK = ("HTTPS_PROXY", "NO_PROXY", "PIP_CERT", "SSL_CERT_FILE", "UV_SYSTEM_CERTS")
"""What this machine's way to the internet needs."""

_EXECUTE = """
import sys, time
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

class Client(NotebookClient):
    def output(self, outs, msg, display_id, cell_index):
        if msg["msg_type"] == "stream":
            print(msg["content"]["text"], end="", flush=True)
        return super().output(outs, msg, display_id, cell_index)

    def begin(self, cell, cell_index):
        self.began = time.monotonic()

    def end(self, cell, cell_index, execute_reply):
        cell.metadata["seconds"] = time.monotonic() - self.began

path = sys.argv[1]
notebook = nbformat.read(path, as_version=4)
client = Client(notebook, timeout=None, coalesce_streams=True)
client.resources = {"metadata": {"path": "/kaggle/working"}}
client.on_cell_start, client.on_cell_executed = client.begin, client.end
try:
    client.execute()
except CellExecutionError as error:
    sys.exit(f"{error.ename}: {error.evalue}")
finally:
    nbformat.write(notebook, path)
"""


def main() -> None:
    """Entry point of the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="where to work; default: a new one")
    parser.add_argument("--python", default="3.12", help="version or path; default: %(default)s")
    parser.add_argument("--wheels", type=Path, help="what digits kaggle wheels made; no network")
    parser.add_argument("--pip", action="store_true", help="leave uv out of the image")
    parser.add_argument("--data", type=Path, help="the competition's archive; default: made here")
    parser.add_argument("--profile", help="instead of params.yaml as it is")
    parser.add_argument("--second", help="the profile to compare with; default: no comparison")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="kaggle-") as temporary:
        root = (options.folder or Path(temporary)).resolve() / "root"
        seconds = run(root, options)
        check(root / "kaggle/working")
    total = 0.0
    for title, each in seconds:
        total += each
        print(f"{each:7.1f} s  {total:7.1f} s  {title}")
    print(f"{len(os.sched_getaffinity(0))} cores here, load {os.getloadavg()[0]:.1f}")


def run(root: Path, options: argparse.Namespace) -> list[tuple[str, float]]:
    """Make the tree, run the notebook in it; heading and seconds of each of its cells."""
    shutil.rmtree(root, ignore_errors=True)
    for name in ("kaggle/input", "kaggle/working", "kaggle/lib", "tmp", "image"):
        (root / name).mkdir(parents=True)
    if options.data:
        archive.extract(archive.Found(options.data), root / "data")
    else:
        write_tables(root / "data")
    make_image(root / "image", options.python, with_uv=not options.pip)
    mounts = {root / "data": "competitions/digit-recognizer"}
    if options.wheels:
        mounts[options.wheels.resolve()] = "digit-recognizer-wheels"
    notebook = root / "image/notebook.ipynb"
    write_notebook(notebook, options)
    (root / "image/execute.py").write_text(_EXECUTE)
    separate = ["--net"] if options.wheels else []
    separate += ["--map-root-user"] if os.geteuid() else []
    script = "\n".join(enter(root, mounts))
    command = ["unshare", "--mount", "--pid", "--fork", *separate, "sh", "-euc", script]
    if status := subprocess.run(command, check=False).returncode:
        sys.exit(status)
    return list(_read_seconds(notebook))


def _read_seconds(notebook: Path) -> Iterator[tuple[str, float]]:
    title = ""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            title = cell["source"][0].strip("# \n")
        else:
            yield title, cell["metadata"]["seconds"]


def write_tables(
    folder: Path, train_rows: int = tables.TRAIN_ROWS, test_rows: int = tables.TEST_ROWS
) -> None:
    """The competition's three files of scikit-learn's digits, no two of them the same."""
    folder.mkdir()
    sample.write_tables(folder)
    images, labels = tables.read_train(folder / "train.csv", expected_rows=None)
    generator = np.random.default_rng(0)
    for name, rows in (("train.csv", train_rows), ("test.csv", test_rows)):
        chosen = np.resize(np.arange(len(images)), rows)
        moved = images[chosen].astype(np.int16)
        for image, shift in zip(moved, generator.integers(-2, 3, (rows, 2)), strict=True):
            image[:] = np.roll(image, shift, axis=(0, 1))
        moved += generator.integers(-40, 41, moved.shape, dtype=np.int16) * (moved > 0)
        digits = labels[chosen] if name == "train.csv" else None
        tables.write(folder / name, moved.clip(0, 255).astype(np.uint8), digits)
    lines = "".join(f"{row},0\n" for row in range(1, test_rows + 1))
    (folder / "sample_submission.csv").write_text(f"ImageId,Label\n{lines}")


def make_image(folder: Path, python: str, *, with_uv: bool) -> None:
    """A Python with what runs a notebook, and uv where the image has it."""
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", python, "--relocatable", folder], check=True)
    packages = ["ipykernel", "nbclient", *(["uv"] if with_uv else [])]
    install = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin/python")]
    subprocess.run([*install, *packages], check=True)
    (folder / "home").mkdir()


def write_notebook(path: Path, options: argparse.Namespace) -> None:
    """The notebook, with a cell that sets its parameters."""
    source = ROOT / "notebooks/kaggle.ipynb"
    if not options.wheels:
        settings = kernel_folder.Settings("someone/digits", "digits")
        sent = kernel_folder.write(path.parent, source, settings, ROOT)
        source = sent.path / "notebook.ipynb"
    notebook = json.loads(source.read_text(encoding="utf-8"))
    kinds = [cell["cell_type"] for cell in notebook["cells"]]
    parameters = f"PROFILE, SECOND = {options.profile!r}, {options.second!r}"
    cell = {"cell_type": "code", "id": "parameters", "metadata": {}, "source": parameters}
    after = kinds.index("markdown", kinds.index("code"))
    notebook["cells"].insert(after, cell | {"outputs": [], "execution_count": None})
    path.write_text(json.dumps(notebook), encoding="utf-8")


def enter(root: Path, mounts: dict[Path, str]) -> Iterator[str]:
    """Lines of a shell script that makes ``root`` the root, and runs the notebook there."""
    for path in sorted(Path("/").iterdir()):
        if path.name in ("tmp", "kaggle", "image"):
            continue
        if path.is_symlink():
            (root / path.name).symlink_to(path.readlink())
        elif path.is_dir():
            (root / path.name).mkdir(exist_ok=True)
            if path.name != "proc":
                yield f"mount --rbind {path} {root / path.name}"
    yield f"mount -t proc proc {root / 'proc'}"
    for source, name in mounts.items():
        place = root / "kaggle/input" / name
        place.mkdir(parents=True)
        yield f"mount --bind '{source}' {place} && mount -o remount,bind,ro {place}"
    if found := shutil.which("git", path=ENVIRONMENT["PATH"]):
        yield f"mount --bind /dev/null {root}{found}"
    start = (
        "import fcntl, socket, struct; s = socket.socket(); "
        "fcntl.ioctl(s, 0x8914, struct.pack('16sH', b'lo', 73))"
    )
    yield f'{sys.executable} -c "{start}"  # SIOCSIFFLAGS: the loopback interface, up'
    network = {name: os.environ[name] for name in NETWORK if name in os.environ}
    variables = shlex.join(f"{name}={each}" for name, each in (ENVIRONMENT | network).items())
    python = "/image/bin/python /image/execute.py /image/notebook.ipynb"
    yield f"exec chroot {root} env -i {variables} {python}"


def check(working: Path) -> None:
    """Check that the notebook left a submission that Kaggle accepts, and no more than it should."""
    left = {path.name for path in working.iterdir()}
    if left != LEFT:
        sys.exit(f"{working} holds {', '.join(sorted(left))}; expected {', '.join(sorted(LEFT))}")
    predicted = submission.check(working / "submission.csv")
    record = json.loads((working / "submission.json").read_text())
    print(f"{len(predicted):,} rows, checked; commit {record['commit']}")


if __name__ == "__main__":
    main()
