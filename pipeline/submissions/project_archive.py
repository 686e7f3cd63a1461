"""An archive of the project, as a machine without its repository needs it."""

import io
import os
import tarfile
from pathlib import Path

from pipeline import git

SENT = (
    *git.CODE,
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvcignore",
    ".gitignore",
    "LICENSE",
    "Makefile",
    "README.md",
    "bootstrap.py",
    "data/labels.csv",
    "digits_command.py",
    "pyproject.toml",
    "requirements.lock",
)
"""What a run needs: the code, what decides on its results, and what installs it."""


def pack(project: Path, commit: str | None) -> bytes:
    """An archive of the project's files and of a file that names their commit."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz", preset=9) as archive:
        for name in list_files(project):
            _add(archive, name, (project / name).read_bytes())
        if commit:
            _add(archive, git.COMMIT_FILE, f"{commit}\n".encode())
    return packed.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def list_files(project: Path) -> list[str]:
    """The files to send: those of `SENT` that Git does not ignore; outside Git, all but caches."""
    listed = git.run(
        project, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SENT
    )
    if git.find_top(project) and listed and listed.returncode == 0:
        names = [os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    else:
        found = (path for name in SENT for path in [project / name, *(project / name).rglob("*")])
        names = [path.relative_to(project).as_posix() for path in found if path.suffix != ".pyc"]
    return sorted({name for name in names if (project / name).is_file()})
