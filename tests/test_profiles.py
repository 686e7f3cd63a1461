from pathlib import Path

import pytest

from pipeline import params, profiles
from pipeline.errors import ParamsError

WHOLE_SECTIONS = {"prepare", "ensemble", "augmentation", "neighbours", "train"}


@pytest.mark.parametrize("name", profiles.names())
def test_profile_is_usable_and_names_every_key_of_its_sections(name: str, in_folder: Path) -> None:
    content = profiles.read(name)
    assert set(content) == {"about", *WHOLE_SECTIONS}
    profiles.apply(name)
    settings = params.load().model_dump()
    for section in WHOLE_SECTIONS:
        assert settings[section] == content[section]


def test_file_of_the_project_is_the_default_profile(in_folder: Path) -> None:
    before = Path("params.yaml").read_bytes()
    assert profiles.apply("default") == []
    assert Path("params.yaml").read_bytes() == before


def test_way_there_and_back_leaves_the_file_as_it_was(in_folder: Path) -> None:
    before = Path("params.yaml").read_bytes()
    assert profiles.apply("record")
    assert Path("params.yaml").read_bytes() != before
    profiles.apply("default")
    assert Path("params.yaml").read_bytes() == before


def test_difference_names_what_changed_and_nothing_else_changes(in_folder: Path) -> None:
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("kind: auto", "kind: sample"))
    changes = profiles.apply("record")
    after = path.read_text()
    assert "kind: sample" in after
    assert {line[0] for line in changes} == {"-", "+"}
    for line in changes:
        assert (line[1:] in after.splitlines()) == (line[0] == "+")


def test_unknown_profile_is_named_and_nothing_is_written(in_folder: Path) -> None:
    before = Path("params.yaml").read_bytes()
    with pytest.raises(ParamsError, match="no profile 'fast'; known: quick, default, record"):
        profiles.apply("fast")
    assert Path("params.yaml").read_bytes() == before


def test_unusable_file_is_left_alone(in_folder: Path) -> None:
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("batch_size: ", "batch_siz: "))
    before = path.read_bytes()
    with pytest.raises(ParamsError, match="batch_siz: no such key"):
        profiles.apply("record")
    assert path.read_bytes() == before
