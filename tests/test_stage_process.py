import os
import sys

import pytest

from pipeline import environment, stage_process

EXPORT = ["python", "-m", "pipeline.stages.export"]


class Replaced(Exception):
    """The process would go on as another program."""


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of the program that would take the process over."""
    arguments: list[str] = []

    def exec_instead(path: str, given: list[str]) -> None:
        arguments.extend(given)
        raise Replaced

    monkeypatch.setattr(os, "execv", exec_instead)
    monkeypatch.setattr(stage_process, "end_when_interrupted", lambda describe: None)
    for name in ("let_warnings_pass", "use_own_matplotlib", "use_own_number_format"):
        monkeypatch.setattr(environment, name, lambda: None)
    return arguments


@pytest.mark.parametrize("seed", [None, "random", "1"])
def test_export_hashes_text_alike_in_every_process(
    seed: str | None, replaced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", EXPORT)
    if seed is None:
        monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    else:
        monkeypatch.setenv("PYTHONHASHSEED", seed)
    with pytest.raises(Replaced):
        stage_process.begin()
    assert replaced == [sys.executable, *EXPORT[1:]]
    assert os.environ["PYTHONHASHSEED"] == "0"

    stage_process.begin()
    assert replaced == [sys.executable, *EXPORT[1:]]


def test_other_stages_keep_their_process(
    replaced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "pipeline.stages.predict"])
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    stage_process.begin()
    assert replaced == []
