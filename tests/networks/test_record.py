"""What a trained network came from is read whole, or not at all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ArtifactError
from pipeline.files import read_json, write_json
from pipeline.networks.record import read_record
from tests.members import RECORD, write_record


def test_record_comes_back_as_it_was(tmp_path: Path) -> None:
    write_record(tmp_path)
    assert read_record(tmp_path) == RECORD


@pytest.mark.parametrize(
    "change",
    [
        {"preprocessing": [["sharpen"]]},
        {"preprocessing": ["deskew"]},
        {"preprocessing": []},
        {"preprocessing": "deskew"},
        {"preprocessing": [{}]},
        {"conditions": {}},
        {"conditions": None},
        {"provenance": {"sample": True}},
        {"surprise": 1},
        {"epochs": "8"},
        {"training_seconds": None},
        {"fold": 1.5},
    ],
)
def test_record_of_another_kind_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    write_record(tmp_path)
    write_json(tmp_path / "member.json", read_json(tmp_path / "member.json") | change)
    with pytest.raises(ArtifactError, match="member.json does not tell .* deskew, .*dvc repro"):
        read_record(tmp_path)


@pytest.mark.parametrize("content", [[1], {}, 5, None, {"kept_epoch": 3, "member": {"fold": 0}}])
def test_record_of_another_version_is_refused(content: Any, tmp_path: Path) -> None:
    write_json(tmp_path / "member.json", content)
    with pytest.raises(ArtifactError, match="Another version of the pipeline.*Delete"):
        read_record(tmp_path)


def test_conditions_are_the_same_on_another_machine_only() -> None:
    ours = RECORD.conditions
    assert ours.ask_for_the_same(replace(ours, machine={"cpu": "another"}))
    assert not ours.ask_for_the_same(replace(ours, seed=1))
    assert not ours.ask_for_the_same(replace(ours, code_sha256={}))
