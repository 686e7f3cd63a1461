"""What all commands share: help, hints, completion, speed of start, and any folder to stand in."""

import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from pipeline import cli, project
from pipeline.evaluation.predictions import OutOfFoldPredictions
from tests.cli.running import digits
from tests.conftest import environment, modules_after, run


def test_help_lists_every_command_in_its_group(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert digits(monkeypatch, "--help") == 0
    output = capsys.readouterr().out
    groups = re.findall(r"^(Results|Kaggle|Handwriting|Settings):\n((?:  .*\n)+)", output, re.M)
    listed = {group: re.findall(r"^  (\w+)  +[A-Z]", lines, re.M) for group, lines in groups}
    assert listed == {group: list(commands) for group, commands in cli.COMMANDS.items()}
    assert all(len(line) <= 80 for line in output.splitlines())


NAMES = [name for group in cli.COMMANDS.values() for name in group]


@pytest.mark.parametrize("command", [*NAMES, "kaggle run", "kaggle wheels"])
def test_every_command_has_a_help(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert digits(monkeypatch, *command.split(), "--help") == 0
    output = capsys.readouterr().out
    assert f"Usage: digits {command}" in output
    assert all(len(line) <= 80 for line in output.splitlines())
    assert not re.search(r"<(str|path|list)|\w\.\.\.$", output, re.M)  # types, cut sentences


def test_version_is_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert digits(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"digits {version('digit-recognizer-pipeline')}\n"


def test_outside_a_project_the_help_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert digits(monkeypatch) == 0
    assert capsys.readouterr().out.startswith("Usage: digits [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("chekc",), "No such command 'chekc'. Did you mean 'check'?"),
        (("check", "a", "b"), "unexpected extra argument"),
        (("errors", "--againts", "x"), "No such option: --againts"),
        (("status", "--jsno"), "--json"),
    ],
)
def test_mistyped_command_shows_usage_and_a_hint(
    arguments: tuple[str, ...],
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert digits(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err
    assert "Usage: digits" in said
    assert hint in said


def test_interruption_is_told_while_the_command_line_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("typer.core.TyperGroup.parse_args", interrupt)
    assert digits(monkeypatch, "runs") == 130
    assert capsys.readouterr().err == "interrupted: nothing is half-written\n"


def test_start_imports_none_of_the_large_libraries() -> None:
    large = {"cv2", "dvc", "keras", "kaggle", "matplotlib", "numpy", "onnxruntime", "pandas"}
    assert not modules_after("import pipeline.cli") & (large | {"pydantic", "ruamel.yaml"})


def test_project_is_found_from_any_folder_in_it(tmp_path: Path) -> None:
    assert project.find(tmp_path) is None
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).touch()
    inner = tmp_path / "comparison"
    inner.mkdir()
    assert project.find(inner) is None
    (tmp_path / "pipeline/cli").mkdir(parents=True)
    for name in ("dvc.yaml", "params.yaml"):
        (inner / name).touch()
    assert project.find(tmp_path) == Path()
    assert project.find(inner) == Path("..")
    assert project.find(tmp_path / "pipeline/cli") == Path("../..")


def test_paths_that_are_typed_belong_to_the_current_folder(in_project: Path) -> None:
    folder = in_project / "benchmarks"
    folder.mkdir()
    (folder / "mine.csv").write_text("ImageId,Label\n1,7\n2,ten\n")
    said = run(folder, "digits", "check", "mine.csv", status=1)
    assert "error: mine.csv, line 3: Label must be an integer" in said
    said = run(folder, "digits", "check", status=1)
    assert "error: ../submissions/submission.csv was made from the embedded sample" in said
    said = run(folder, "digits", "profile", "recrod", status=1)
    assert "did you mean 'record'?" in said
    assert "../params.yaml holds none of them" in run(folder, "digits", "profile")


def test_errors_in_a_pipe_are_plain(in_project: Path) -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), 30)
    probabilities = np.eye(10)[labels] * 0.9 + 0.01
    probabilities[:2] = probabilities[::-1][:2]
    found = OutOfFoldPredictions(
        np.arange(300), labels, probabilities, probabilities, {"0-0-small": "a" * 64}, "b" * 64
    )
    found.save(in_project / "reports/evaluation/out_of_fold.npz")
    output = run(in_project, "bash", "-c", "NO_COLOR=1 digits errors | cat")
    assert "2 errors in 300 held-out images: accuracy 99.33%" in output
    assert re.findall(r"^ +(\d)  ", output, re.M) == list("0123456789")
    assert "\x1b" not in output
    assert not set(output) & set("│┃┏┓└┘")


@pytest.fixture
def shell_environment(tmp_path: Path) -> dict[str, str]:
    """An environment whose home is an empty folder, and in which ``digits`` is this one."""
    return environment(tmp_path / "folder")


COMPLETIONS = {
    ("",): {name for group in cli.COMMANDS.values() for name in group},
    ("ar",): {"architectures"},
    ("profile", ""): {"default", "quick", "record"},
    ("architectures", "deep_p"): {"deep_pooled_cnn"},
    ("export", "s"): {"saved-model"},
    ("status", "--j"): {"--json"},
}


@pytest.mark.parametrize("words", COMPLETIONS, ids=" ".join)
def test_bash_completes(words: tuple[str, ...], shell_environment: dict[str, str]) -> None:
    script = """
eval "$(_DIGITS_COMPLETE=source_bash digits)"
COMP_WORDS=(digits "$@")
COMP_CWORD=$#
_digits_completion digits
printf '%s\\n' "${COMPREPLY[@]}"
complete -p digits
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", *words],
        env=shell_environment,
        capture_output=True,
        text=True,
        check=True,
    )
    *completions, registered = done.stdout.splitlines()
    assert registered == "complete -o default -F _digits_completion digits"
    assert set(completions) == COMPLETIONS[words]


@pytest.mark.parametrize("words", COMPLETIONS, ids=" ".join)
def test_zsh_is_offered_the_same(words: tuple[str, ...], shell_environment: dict[str, str]) -> None:
    """What zsh's ``_arguments`` gets; the test below loads the script into zsh itself."""
    asked = {
        "_DIGITS_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": f"digits {' '.join(words)}",
    }
    done = subprocess.run(
        ["digits"], env=shell_environment | asked, capture_output=True, text=True, check=True
    )
    offered = re.findall(r'"([^":]+)', done.stdout)
    assert COMPLETIONS[words] <= set(offered)


@pytest.mark.parametrize("shell", [name for name in ("bash", "zsh") if shutil.which(name)])
def test_completion_is_installed_for_the_shell_that_runs(
    shell: str, shell_environment: dict[str, str]
) -> None:
    options = {"bash": ["--norc"], "zsh": ["--no-rcs"]}[shell]
    registered = {
        "bash": ". ~/.bashrc; complete -p digits",
        "zsh": ". ~/.zshrc; autoload +X $_comps[digits]; functions $_comps[digits]",
    }[shell]
    for script in ("digits --install-completion; true", registered):
        done = subprocess.run(
            [shell, *options, "-c", script],
            env=shell_environment,
            capture_output=True,
            text=True,
            check=True,
        )
    assert "_digits_completion" in done.stdout
