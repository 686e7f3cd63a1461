"""``make`` sets up an environment, and sets right one that does not work; without network.

The lock files name only what installing the package itself needs.
"""

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ROOT

FILES = (
    "LICENSE",
    "Makefile",
    "README.md",
    "bootstrap.py",
    "digits_command.py",
    "dvc.yaml",
    "params.yaml",
    "pyproject.toml",
)
CUDA_SYSTEM = ("linux", "x86_64")
BASE: str = sys.__dict__["_base_executable"]  # no stub has it
WHERE = "import pipeline, sys; print(pipeline.__file__, sys.prefix)"


def load_bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bootstrap.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bootstrap = load_bootstrap()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed setuptools as a wheel, which an editable package needs."""
    folder = tmp_path_factory.mktemp("wheels")
    installed = metadata.distribution("setuptools")
    name = f"setuptools-{installed.version}-py3-none-any.whl"
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_STORED) as wheel:
        for file in installed.files or ():
            path = Path(str(file.locate()))
            if path.suffix != ".pyc" and path.name != "INSTALLER" and ".." not in file.parts:
                wheel.write(path, file.as_posix())
    return folder


def lock(wheels: Path) -> str:
    (wheel,) = wheels.iterdir()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"setuptools=={wheel.name.split('-')[1]} --hash=sha256:{digest}\n"


def write_project(folder: Path, wheels: Path) -> Path:
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pipeline", folder / "pipeline", ignore=ignored)
    (folder / "requirements.lock").write_text(lock(wheels))
    (folder / "requirements-dev.lock").write_text("")
    (folder / ".git").mkdir()
    return folder


Make = Callable[..., subprocess.CompletedProcess[str]]
ShellPython = Callable[[str], Path]


@pytest.fixture(scope="module")
def make(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Runs make in a folder, with packages from `wheels` alone and hostile variables.

    Those of a make that runs the tests would have it print more.
    """
    home = tmp_path_factory.mktemp("home")
    foreign = tmp_path_factory.mktemp("foreign")
    (foreign / "setuptools").mkdir()
    (foreign / "setuptools/__init__.py").write_text("raise RuntimeError('not this one')")

    def run(
        folder: Path,
        *arguments: str,
        python: str = sys.executable,
        status: int = 0,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["make", *(arguments or ["runtime"]), f"PYTHON={python}"],
            cwd=folder,
            env={name: each for name, each in os.environ.items() if not name.startswith("MAKE")}
            | {
                "HOME": str(home),
                "PIP_FIND_LINKS": str(wheels),
                "PIP_NO_INDEX": "1",
                "PIP_TARGET": str(foreign / "target"),
                "PIP_USER": "1",
                "PYTHONPATH": str(foreign),
                "PYTHONWARNINGS": "error",
            }
            | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def original(wheels: Path, make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was set up, in a folder with odd characters."""
    folder = tmp_path_factory.mktemp("a folder") / "prüfung #1 (it's mine) & 50%"
    make(write_project(folder, wheels))
    return folder


@pytest.fixture
def copied(original: Path, tmp_path: Path) -> Path:
    """The same project after ``cp -r``."""
    shutil.copytree(original, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


@pytest.fixture
def shell_python(tmp_path: Path) -> ShellPython:
    """Writes a program that is this Python but for what ``code`` does to it first."""

    def write(code: str) -> Path:
        path = tmp_path / "python"
        (tmp_path / "changed").mkdir(exist_ok=True)
        (tmp_path / "changed/sitecustomize.py").write_text(code)
        start = f"import sys; sys.path.insert(0, {str(tmp_path / 'changed')!r}); "
        start += "import sitecustomize, runpy; "
        path.write_text(
            "#!/bin/sh\n"
            'if [ "$1" = -I ]; then script=$2; shift 2\n'
            f"  exec {sys.executable} -I -c \"{start} runpy.run_path('$script', "
            "run_name='__main__')\" "
            '"$@"\n'
            f'else exec {sys.executable} -c "{start} exec(sys.argv[1])" "$2"; fi\n'
        )
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def quick_python(original: Path, shell_python: ShellPython, tmp_path: Path) -> str:
    """A Python that copies pip into a new environment, where ``ensurepip`` takes seconds."""
    program = tmp_path / "venv"
    program.write_text(f"#!{BASE}\nMADE = {str(original / '.venv')!r}\n{VENV}")
    program.chmod(0o755)
    return str(shell_python(f"import sys; sys._base_executable = {str(program)!r}"))


VENV = """
import sys
import venv
from pathlib import Path
from shutil import copy, copytree

def copy_pip(builder, context):
    for found in [*Path(MADE).glob("lib/*/site-packages/pip*"), *Path(MADE).glob("bin/pip*")]:
        target = Path(context.env_dir, found.relative_to(MADE))
        (copytree if found.is_dir() else copy)(found, target)

venv.EnvBuilder._setup_pip = copy_pip
venv.main(sys.argv[3:])
"""


def run_in(folder: Path, *command: str) -> str:
    """What a program of the environment prints."""
    program, *arguments = command
    done = subprocess.run(
        [folder / ".venv/bin" / program, *arguments],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def assert_works(folder: Path) -> None:
    """The environment's Python and scripts are this folder's, and so is the package."""
    origin, prefix = folder / "pipeline/__init__.py", folder / ".venv"
    assert run_in(folder, "python", "-c", WHERE) == f"{origin} {prefix}\n"
    assert f"from {prefix}/lib" in run_in(folder, "pip", "--version")
    assert f"{folder}/pipeline/cli/__init__.py" in run_in(folder, "digits")  # which lacks typer
    activate = f'. "{prefix}/bin/activate" && echo "$VIRTUAL_ENV"'
    shown = subprocess.run(["sh", "-c", activate], capture_output=True, text=True, check=True)
    assert shown.stdout == f"{prefix}\n"


def test_folder_with_odd_characters_works(original: Path) -> None:
    assert_works(original)


def test_nothing_is_done_twice(original: Path, make: Make) -> None:
    assert make(original).stdout == ""


def test_copied_and_renamed_folder_repairs_itself(copied: Path, original: Path, make: Make) -> None:
    assert f"Moved or copied from {original}" in make(copied).stdout
    assert_works(copied)
    assert_works(original)
    for name in ("renamed, now with a space", "short"):
        copied = copied.rename(copied.with_name(name))
        make(copied)
        assert_works(copied)


@pytest.mark.parametrize("fault", ["no pip", "no python", "python was replaced"])
def test_environment_that_does_not_work_is_made_again(
    copied: Path, make: Make, quick_python: str, fault: str
) -> None:
    (packages,) = (copied / ".venv/lib").glob("python*/site-packages")
    if fault == "no pip":  # as Debian leaves it where python3-venv is missing
        shutil.rmtree(packages / "pip")
    elif fault == "no python":
        (copied / ".venv/bin/python").unlink()
        (copied / ".venv/bin/python").symlink_to("/absent/bin/python3")
    else:
        packages.parent.rename(packages.parent.with_name("python3.10"))
    python = sys.executable if fault == "no pip" else quick_python
    assert "does not work" in make(copied, python=python).stdout
    assert_works(copied)


def test_changed_lock_is_installed_with_signs_of_life(copied: Path, make: Make) -> None:
    """A package is half-installed when pip is killed before it has written the last files."""
    make(copied)
    (copied / "requirements-dev.lock").write_text("# changed\n")
    assert make(copied).stdout == ""
    (packages,) = (copied / ".venv/lib").glob("python*/site-packages")
    (half,) = packages.glob("setuptools-*.dist-info")
    (half / "INSTALLER").unlink()
    (packages / "setuptools/__init__.py").unlink()
    with (copied / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert "setuptools" in make(copied).stdout
    assert (packages / "setuptools/__init__.py").exists()
    state = json.loads((copied / ".venv/bootstrap.json").read_text())
    assert "requirements-dev.lock" not in state
    make(copied, "development")
    assert "requirements-dev.lock" in json.loads((copied / ".venv/bootstrap.json").read_text())


def write_wheel(folder: Path, name: str, version: str, needs: str = "") -> str:
    """Put a package without code into ``folder``; its line of a lock file."""
    path, notes = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    described = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{notes}/METADATA", described + needs)
        wheel.writestr(
            f"{notes}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{notes}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def test_newer_version_of_what_a_package_needs_with_an_extra_is_not_looked_at(
    copied: Path, make: Make, wheels: Path, tmp_path: Path
) -> None:
    """Pip otherwise takes the newer one for the package with its extra (pypa/pip#9644)."""
    shutil.copytree(wheels, tmp_path / "wheels")
    needing = write_wheel(tmp_path / "wheels", "needing", "1", "Requires-Dist: needed[more]\n")
    needed = write_wheel(tmp_path / "wheels", "needed", "1", "Provides-Extra: more\n")
    write_wheel(tmp_path / "wheels", "needed", "2", "Provides-Extra: more\n")
    with (copied / "requirements.lock").open("a") as lock:
        lock.write(needing + needed)
    make(copied, PIP_FIND_LINKS=str(tmp_path / "wheels"))
    (packages,) = (copied / ".venv/lib").glob("python*/site-packages")
    assert [path.name for path in packages.glob("needed-*")] == ["needed-1.dist-info"]


def test_failed_and_interrupted_make_say_what_to_do_and_go_on(
    wheels: Path, make: Make, quick_python: str, tmp_path: Path
) -> None:
    folder = write_project(tmp_path / "project", wheels)
    shown = make(folder, python=quick_python, status=2, PIP_FIND_LINKS="/absent").stderr
    assert "No matching distribution found for setuptools" in shown
    assert (
        "error: pip could not install the packages (its message is above). Check the net" in shown
    )
    assert "then run make again: it goes on" in shown
    started = subprocess.Popen(
        [sys.executable, "-I", "bootstrap.py"],
        cwd=folder,
        env=os.environ | {"PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert started.stdout
    for line in started.stdout:
        if line.startswith("Installing"):
            break
    started.kill()
    started.communicate()
    make(folder)
    assert_works(folder)


def start(
    folder: Path,
    *arguments: str,
    python: str = sys.executable,
    status: int = 0,
    **variables: str,
) -> str:
    """Run bootstrap.py without any index; what it prints."""
    kept = {name: each for name, each in os.environ.items() if not name.startswith("PIP_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [python, "-I", "bootstrap.py", *arguments],
        cwd=folder,
        env=kept | {"UV_OFFLINE": "1", "PIP_NO_INDEX": "1", "PATH": path} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def collected(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``digits kaggle wheels`` puts there for the lock of these tests, and nothing else."""
    folder = tmp_path_factory.mktemp("offline")
    shutil.copytree(wheels, folder, dirs_exist_ok=True)
    (folder / "requirements.txt").write_text(lock(wheels))
    python = ".".join(map(str, sys.version_info[:2]))
    (folder / "wheels.json").write_text(json.dumps({"python": python, "built": {}}))
    return folder


@pytest.mark.parametrize("tool", [[], ["--uv"]], ids=["pip", "uv"])
def test_collected_packages_are_enough(
    tool: list[str], wheels: Path, collected: Path, quick_python: str, tmp_path: Path
) -> None:
    folder = write_project(tmp_path / "project", wheels)
    start(
        folder,
        *tool,
        "--wheels",
        str(collected),
        python=sys.executable if tool else quick_python,
        UV_SYSTEM_PYTHON="1",
        UV_CONSTRAINT="/absent",
    )
    assert f"{folder}/pipeline/cli/__init__.py" in run_in(folder, "digits")
    has_pip = "pip" in run_in(folder, "python", "-c", "import pip; print(pip.__name__)")[:4]
    assert has_pip is not bool(tool)
    assert start(folder, *tool, "--wheels", str(collected)) == ""
    assert start(folder) == ""


def test_collected_packages_that_do_not_fit_are_refused(
    wheels: Path, collected: Path, tmp_path: Path
) -> None:
    folder = write_project(tmp_path / "project", wheels)
    other = shutil.copytree(collected, tmp_path / "other")
    (other / "requirements.txt").write_text("setuptools==1.0 --hash=sha256:0\n")
    said = start(folder, "--wheels", str(other), status=1)
    assert "are not those of requirements.lock: setuptools 1.0, expected" in said
    (other / "wheels.json").write_text('{"python": "3.9"}')
    said = start(folder, "--wheels", str(other), status=1)
    assert f"the packages in {other} are for Python 3.9, and this is 3.1" in said
    (other / "wheels.json").unlink()
    said = start(folder, "--wheels", str(other), status=1)
    assert f"{other} does not hold what digits kaggle wheels puts there" in said
    assert not (folder / ".venv").exists()


def test_uv_that_is_not_there_is_explained(wheels: Path, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project", wheels)
    said = start(folder, "--uv", status=1, PATH=str(tmp_path))
    assert "error: uv is not on PATH" in said


def test_extra_for_gpus_is_installed_once_and_again_after_a_failure(
    copied: Path, make: Make
) -> None:
    """Those of the real extra cannot be had without a network; the packages that it then names are
    others."""
    shown = make(copied, "gpu", status=2)
    assert "Installing CUDA's libraries" in shown.stdout
    assert "error: pip could not install the packages" in shown.stderr
    pyproject = copied / "pyproject.toml"
    for name, packages in (("dependencies", ""), ("gpu", '"setuptools>=77"')):
        text, count = re.subn(
            rf"(?ms)^{name} = \[.*?\]$", f"{name} = [{packages}]", pyproject.read_text()
        )
        assert count == 1
        pyproject.write_text(text)
    shown = make(copied, "gpu")
    assert "Installing CUDA's libraries into .venv: about 3 GB, once\n" in shown.stdout
    assert "Requirement already satisfied: setuptools>=77" in shown.stdout
    assert make(copied, "gpu").stdout == ""
    assert make(copied).stdout == ""
    assert_works(copied)


def test_gpu_is_suggested_where_there_is_one(tmp_path: Path) -> None:
    assert not bootstrap.has_gpu(tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia-caps").mkdir()
    assert not bootstrap.has_gpu(tmp_path)
    (tmp_path / "dev/nvidia0").touch()
    assert bootstrap.has_gpu(tmp_path) == ((sys.platform, platform.machine()) == CUDA_SYSTEM)


@pytest.mark.parametrize("system", [("darwin", "arm64"), ("linux", "aarch64")])
def test_extra_for_gpus_is_refused_where_tensorflow_has_no_build(system: tuple[str, str]) -> None:
    with pytest.raises(bootstrap.Problem, match="Linux with an x86-64 processor only, found "):
        bootstrap.check_system(*system)
    bootstrap.check_system(*CUDA_SYSTEM)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import sys; sys.version_info = (3, 7, 1, 'final', 0)", "Python 3.11, 3.12 or 3.13 is"),
        ("import sys; sys.version_info = (3, 10, 1, 'final', 0)", "found CPython 3.10"),
        ("import sys; sys.version_info = (3, 14, 0, 'final', 0)", "found CPython 3.14"),
        ("import struct; struct.calcsize = lambda code: 4", "a 64-bit Python is needed"),
        ("import platform; platform.python_implementation = lambda: 'PyPy'", "found PyPy 3.1"),
        (
            "import sysconfig; sysconfig.get_config_var = lambda name: 1",
            "free-threaded",
        ),
    ],
)
def test_python_that_tensorflow_does_not_know_is_explained(
    wheels: Path, tmp_path: Path, shell_python: ShellPython, code: str, expected: str
) -> None:
    folder = write_project(tmp_path / "project", wheels)
    done = subprocess.run(
        ["make", "runtime", f"PYTHON={shell_python(code)}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode
    assert expected in done.stderr
    assert "make PYTHON=python3.12" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / ".venv").exists()


def test_absent_python_is_explained(wheels: Path, tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project", wheels)
    command = ["make", "runtime", "PYTHON=absent-python"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "error: Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12" in done.stderr


@pytest.mark.parametrize("name", ["a:b", 'a"b', "a$HOME", "a`b", "a\\b", "a\nb"])
def test_path_that_environments_cannot_have_is_refused(
    wheels: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    with pytest.raises(bootstrap.Problem, match=r"(?s)the path .* contains '.*Rename the folder"):
        bootstrap.check_place(folder)


def test_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bootstrap._explain_disk(0) is None
    assert "Only " in bootstrap._explain_disk(1e9)


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without Git, as the current folder."""
    folder = tmp_path / "work/project"
    for project in (folder, folder / "comparison"):
        (project / ".dvc").mkdir(parents=True)
        (project / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    return folder


DVC = [sys.executable, "-m", "dvc"]


def read_config(folder: Path) -> str:
    return (folder / ".dvc/config.local").read_text()


def test_dvc_works_without_git_and_keeps_own_settings(unpacked: Path) -> None:
    (unpacked / ".dvc/config.local").write_text("[cache]\n    dir = /large/disk\n")
    bootstrap.tell_dvc_about_git(DVC)
    assert "no_scm = true" in read_config(unpacked)
    assert "dir = /large/disk" in read_config(unpacked)
    for project in (unpacked, unpacked / "comparison"):
        subprocess.run([*DVC, "status"], cwd=project, check=True, capture_output=True)

    before = (unpacked / ".dvc/config.local").stat().st_mtime_ns
    time.sleep(0.01)
    bootstrap.tell_dvc_about_git(["must-not-run"])
    assert (unpacked / ".dvc/config.local").stat().st_mtime_ns == before

    subprocess.run(["git", "init", "--quiet"], check=True)
    bootstrap.tell_dvc_about_git(DVC)
    assert "no_scm" not in read_config(unpacked)
    assert "dir = /large/disk" in read_config(unpacked)


def test_project_in_a_larger_repository_uses_it_if_it_is_tracked(unpacked: Path) -> None:
    shutil.rmtree("comparison")
    subprocess.run(["git", "init", "--quiet", unpacked.parent], check=True)
    bootstrap.tell_dvc_about_git(DVC)
    assert "no_scm = true" in read_config(unpacked)
    subprocess.run(["git", "add", "dvc.yaml"], check=True)
    bootstrap.tell_dvc_about_git(DVC)
    assert "no_scm" not in read_config(unpacked)


def test_larger_repository_of_another_user_names_the_remedy(
    unpacked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subprocess.run(["git", "init", "--quiet", unpacked.parent], check=True)
    monkeypatch.setenv("HOME", str(unpacked))
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    # Git's own tests ask so; only root can give files away.
    monkeypatch.setattr(os, "environ", dict(os.environ))
    real = subprocess.run

    def as_another_user(*arguments: object, **options: dict[str, str]) -> object:
        options["env"] = options["env"] | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
        return real(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", as_another_user)
    bootstrap.tell_dvc_about_git(["must-not-run"])
    remedy = f"run: git config --global --add safe.directory {unpacked.parent}\n"
    assert capsys.readouterr().err.endswith(remedy)
