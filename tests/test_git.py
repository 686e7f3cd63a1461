"""Only a repository that tracks the project says which commit it is."""

import errno
import subprocess
from pathlib import Path

import pytest

from pipeline.errors import ProjectError
from pipeline.git import COMMIT_FILE, describe_commit, find_fault, find_top, is_commit


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def write_project(folder: Path) -> Path:
    (folder / "pipeline").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml", "pipeline/__init__.py"):
        (folder / name).write_text("1\n")
    return folder


def commit(top: Path) -> str:
    """Commit everything below ``top``; returns the commit."""
    git(top, "init", "--quiet")
    git(top, "add", ".")
    git(top, "commit", "--quiet", "--message=start")
    return git(top, "rev-parse", "HEAD")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A repository of other files, such as a home directory's, with the project unpacked in it."""
    (tmp_path / "notes.txt").write_text("notes")
    commit(tmp_path)
    return write_project(tmp_path / "project")


@pytest.mark.parametrize("place", [".", "project", "a folder/prüfung"])
def test_commit_of_the_repository_that_tracks_the_project(tmp_path: Path, place: str) -> None:
    project = write_project(tmp_path / "top" / place)
    head = commit(tmp_path / "top")
    assert describe_commit(project) == head
    assert find_top(project) == tmp_path / "top"


@pytest.mark.parametrize("name", ["params.yaml", "pipeline/__init__.py", "pipeline/new.py"])
def test_changed_code_is_dirty(tmp_path: Path, name: str) -> None:
    project = write_project(tmp_path / "project")
    head = commit(tmp_path)
    git(tmp_path, "config", "status.showUntrackedFiles", "no")
    (project / "note.txt").write_text("not code")
    assert describe_commit(project) == head
    (project / name).write_text("2\n")
    assert describe_commit(project) == f"{head}+dirty"


def test_no_repository_is_no_commit(tmp_path: Path) -> None:
    assert describe_commit(write_project(tmp_path / "project")) is None


def test_repository_without_a_commit_is_no_commit(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    git(project, "init", "--quiet")
    assert describe_commit(project) is None


def test_foreign_repository_is_no_commit(foreign: Path) -> None:
    assert describe_commit(foreign) is None
    git(foreign, "add", ".")
    assert describe_commit(foreign) is None
    assert find_top(foreign) is None


def test_foreign_repository_of_a_hook_is_not_asked(
    foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = commit(foreign)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / ".git/index"))
    assert describe_commit(foreign) == head


def test_repository_of_another_user_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = write_project(tmp_path / "project")
    commit(project)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # only root can give files away
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    remedy = f"run: git config --global --add safe.directory {project}"
    with pytest.raises(ProjectError, match="another user owns it") as caught:
        find_top(project)
    assert str(caught.value).endswith(remedy)
    assert describe_commit(project) is None
    assert capsys.readouterr().err.endswith(f"{remedy}\n")
    assert (find_fault(project) or "").endswith(remedy)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "None"),
        ({"GIT_CONFIG_COUNT": "many"}, "Git does not work here: bogus count in GIT_CONFIG_COUNT"),
    ],
)
def test_fault_of_git_is_told(
    variables: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = write_project(tmp_path / "project")
    commit(project)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(find_fault(project)).startswith(said)


def test_only_commits_and_tags_of_them_are_commits(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    head = commit(project)
    git(project, "tag", "--annotate", "--message=first", "first")
    assert is_commit(project, head) and is_commit(project, "first")
    assert not is_commit(project, f"{head}:params.yaml")


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = write_project(tmp_path / "project")
    commit(project)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_commit(project) is None


@pytest.mark.parametrize("text", [f"{'a' * 40}\n", f"{'a' * 40}+dirty\n"])
def test_copy_without_its_repository_says_which_commit_it_is(tmp_path: Path, text: str) -> None:
    (write_project(tmp_path) / COMMIT_FILE).write_text(text)
    assert describe_commit(tmp_path) == text.strip()
    assert commit(tmp_path) == describe_commit(tmp_path)


@pytest.mark.parametrize("text", ["", "main\n", f"{'a' * 40}; rm\n", "ä" * 40])
def test_file_that_names_no_commit_is_no_commit(tmp_path: Path, text: str) -> None:
    (write_project(tmp_path) / COMMIT_FILE).write_text(text, encoding="utf-8")
    assert describe_commit(tmp_path) is None


def test_git_that_cannot_be_started_is_not_taken_for_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(OSError, match="Too many open files"):
        describe_commit(write_project(tmp_path / "project"))
