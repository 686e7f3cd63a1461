"""What Git knows about the project: where its repository begins, and which commit the code is."""

import os
import re
import subprocess
import sys
from pathlib import Path

from pipeline.errors import ProjectError
from pipeline.project import FOLDER

CODE = ("dvc.yaml", "params.yaml", "pipeline")
"""What decides the results of a run. A repository that tracks all of it tracks the project."""

COMMIT_FILE = ".commit"
"""What names the commit of a copy that was sent somewhere without its repository."""

_OF_ANOTHER_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
)
"""Variables that Git sets for its hooks, and with which it would look elsewhere."""


def find_top(folder: Path = FOLDER) -> Path | None:
    """The top folder of the Git repository whose last commit holds the project.

    Args:
        folder: the project's.

    Returns:
        An absolute path; None where there is no Git, no commit yet, or only a repository that
        holds other files, such as one of the user's home directory.

    Raises:
        ProjectError: Git refuses the repository, because it belongs to another user.
    """
    held = _git(folder, "ls-tree", "--name-only", "HEAD", "--", *CODE)
    if held is None or set(held.split("\n")) != set(CODE):
        return None
    top = _git(folder, "rev-parse", "--show-toplevel")
    return Path(top) if top else None


def describe_commit(folder: Path = FOLDER) -> str | None:
    """The commit of the code that runs, with ``+dirty`` if the code was changed since.

    Args:
        folder: the project's.

    Returns:
        40 hexadecimal digits; where `find_top` finds nothing, what the copy's `COMMIT_FILE` says,
        or None; None, too, where Git refuses, which is then told on stderr.
    """
    try:
        if find_top(folder) is None:
            return _read_commit(folder / COMMIT_FILE)
    except ProjectError as error:
        print(f"warning: the commit is not recorded. {error}", file=sys.stderr)
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=normal", "--", *CODE)
    return f"{commit}+dirty" if changed else commit


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes] | None:
    """Run Git on the repository around ``folder``, whatever variables say; its words are English.

    Returns:
        The finished process; None where Git is not installed, or the folder is not there.
    """
    kept = {name: each for name, each in os.environ.items() if name not in _OF_ANOTHER_REPOSITORY}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=kept | {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            check=False,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def is_commit(folder: Path, revision: str) -> bool:
    """Whether a revision of the repository around ``folder`` is a commit, or a tag of one.

    True as well where Git cannot be asked: it is not installed, or the folder is not there.
    """
    done = run(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return done is None or done.returncode == 0


def find_fault(folder: Path = FOLDER) -> str | None:
    """Why Git does not work around ``folder``, and what to do; None where it does.

    That it is not installed, or that there is no repository, is no fault.
    """
    done = run(folder, "rev-parse", "--git-dir")
    if done is None or done.returncode == 0:
        return None
    if refusal := _find_refusal(done.stderr):
        return refusal
    said = os.fsdecode(done.stderr)
    if gone := re.search(r"not a git repository: (.+)", said):
        return (
            f"The project's repository is kept in {gone[1]}, which is not there: this folder is a "
            "worktree or a submodule without it. Bring it here as well, or clone the project."
        )
    if damaged := re.search(r"bad config line \d+ in file .+", said):
        return f"Git's settings are damaged: {damaged[0]}. Mend that line."
    if "not a git repository" in said:
        return None
    reason = "; ".join(line.partition(": ")[2] or line for line in said.splitlines())
    return f"Git does not work here: {reason}. See that this works first: git status"


def _find_refusal(stderr: bytes) -> str | None:
    """That Git refuses a repository of another user, and the remedy that it names."""
    remedy = re.search(r"git config --global --add safe\.directory .+", os.fsdecode(stderr))
    return remedy and (
        "Git does not read this repository, because another user owns it. If you trust it, run: "
        f"{remedy[0]}"
    )


def _read_commit(path: Path) -> str | None:
    try:
        found = re.fullmatch(r"[0-9a-f]{40}(\+dirty)?\n", path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        return None
    return found[0].strip() if found else None


def _git(folder: Path, *arguments: str) -> str | None:
    """What a command prints; None if it fails, or if Git is not installed."""
    done = run(folder, *arguments)
    if done is None:
        return None
    if refusal := _find_refusal(done.stderr):
        raise ProjectError(refusal)
    return os.fsdecode(done.stdout).removesuffix("\n") if done.returncode == 0 else None
