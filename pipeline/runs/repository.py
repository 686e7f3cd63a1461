"""Commits and experiments of the project's repository: their names, their files, their code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import git
from pipeline.errors import ArtifactError, printable
from pipeline.project import FOLDER
from pipeline.runs.outdated import readable_dvc_errors

if TYPE_CHECKING:
    from scmrepo.git import Git

WORKSPACE = "workspace"
"""What stands in the place of a commit's name for the files as they are."""

_CODE = ("dvc.yaml", "pipeline", "requirements.lock")
_NAMESPACES = ("refs/heads", "refs/tags", "refs/remotes")
_CHANGES = {"A": "added", "D": "deleted"}
"""What to say of a file by Git's letter; of any other: changed."""


def resolve(names: Sequence[str]) -> dict[str, str | None]:
    """The commit of each name; None of the workspace.

    Raises:
        ArtifactError: Git knows no such name.
        ParamsError: the current folder is in no project.
    """
    check_project()
    if set(names) == {WORKSPACE}:
        return {WORKSPACE: None}
    with _repository() as repository:
        return {name: None if name == WORKSPACE else _find(name, repository) for name in names}


def check_project() -> None:
    """Refuse a folder outside the project: what is advised about Git would be about another one.

    Raises:
        ParamsError: naming the folder.
    """
    from pipeline import checked_yaml, params

    if not params.FILE.exists():
        raise checked_yaml.describe_absent(params.FILE)


@contextmanager
def _repository() -> Iterator[Git]:
    from scmrepo.exceptions import SCMError
    from scmrepo.git import Git

    if fault := git.find_fault(FOLDER):
        raise ArtifactError(fault)
    try:
        repository = Git(".")
    except SCMError:
        raise ArtifactError(
            "Earlier runs are kept by Git, but this folder is in no Git repository. Put the "
            "project under Git before the next run: git init && git add . && git commit"
        ) from None
    with closing(repository):
        if repository.no_commits:
            raise ArtifactError(
                "There is no commit yet to compare with. Commit this run, then compare the next "
                "one with it: git add . && git commit"
            )
        yield repository


def _find(name: str, repository: Git) -> str:
    from dvc.scm import RevError, resolve_rev
    from scmrepo.exceptions import SCMError

    from pipeline.checked_yaml import suggest

    with suppress(SCMError, RevError, UnicodeError):
        found = str(resolve_rev(repository, name))
        if git.is_commit(FOLDER, found):
            return found
    known = [WORKSPACE, "HEAD", *_known_names()]
    hint = suggest(name, [each for each in known if each != name])
    raise ArtifactError(
        f"{printable(name)} is no commit, branch, tag or experiment{hint}. See: digits runs, git "
        "log --oneline"
    )


def _known_names() -> list[str]:
    """Branches, tags and experiments."""
    kept = git.run(FOLDER, "for-each-ref", "--format=%(refname:lstrip=2)", *_NAMESPACES)
    experiments = git.run(FOLDER, "for-each-ref", "--format=%(refname:lstrip=4)", "refs/exps")
    return [
        name for done in (kept, experiments) if done for name in os.fsdecode(done.stdout).split()
    ]


@contextmanager
def files_of(revision: str) -> Iterator[Callable[[Path], bytes | None]]:
    """A function from a path of the project to its bytes in a commit; None where they are not.

    Raises:
        DvcError: DVC or Git does not work here.
    """
    from dvc.exceptions import DvcException
    from dvc.fs.dvc import DVCFileSystem
    from dvc.repo import Repo
    from scmrepo.exceptions import SCMError
    from scmrepo.git import Git

    with closing(Git(".")) as repository:
        top = repository.root_dir
    options = {"rev": revision, "subrepos": True, "uninitialized": True}
    with readable_dvc_errors(), Repo.open(None, **options) as repo:
        files = DVCFileSystem(repo=repo, subrepos=True)

        def read(path: Path) -> bytes | None:
            try:
                with files.open(files.from_os_path(os.path.relpath(path, top)), "rb") as file:
                    return bytes(file.read())
            except (DvcException, SCMError, OSError):
                return None

        yield read


def compare_code(before: str | None, after: str | None) -> dict[str, str] | None:
    """What became of each file of code between two commits; None stands for the workspace."""
    commits = [commit for commit in (before, after) if commit is not None]
    turned = ["-R"] if before is None else []
    options = ("--name-status", "--no-renames", "--relative", "-z")
    done = git.run(FOLDER, "diff", *options, *turned, *commits, "--", *_CODE)
    if done is None or done.returncode:
        return None
    words = os.fsdecode(done.stdout).split("\0")
    changes = {
        path: _CHANGES.get(letter, "changed")
        for letter, path in zip(words[::2], words[1::2], strict=False)
    }
    if len(commits) == 1:
        listed = ("ls-files", "--others", "--exclude-standard", "-z", "--", *_CODE)
        untracked = git.run(FOLDER, *listed)
        names = os.fsdecode(untracked.stdout).split("\0") if untracked else []
        changes |= dict.fromkeys(filter(None, names), "added" if after is None else "deleted")
    return changes
