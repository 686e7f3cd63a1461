import re
import subprocess
from pathlib import Path

import pytest

from pipeline import params, profiles
from pipeline.errors import ParamsError
from tests.conftest import set_params

WHOLE_SECTIONS = {"prepare", "networks", "ensemble", "augmentation", "neighbours", "train"}


@pytest.mark.parametrize("name", profiles.names())
def test_profile_is_usable_and_names_every_key_of_its_sections(name: str, in_folder: Path) -> None:
    content = profiles.read(name)
    assert set(content) == {"about", "minutes", *WHOLE_SECTIONS}
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


@pytest.mark.parametrize("name", profiles.names())
def test_only_the_profile_that_the_file_holds_differs_in_nothing(
    name: str, in_folder: Path
) -> None:
    profiles.apply(name)
    assert [other for other in profiles.names() if not profiles.compare(other)] == [name]
    set_params(in_folder, ("patience_epochs: ", "patience_epochs: 1"))
    assert profiles.compare(name) == ["train.patience_epochs"]


def test_networks_of_a_profile_are_counted() -> None:
    counts = [profiles.count_networks(profiles.read(name)) for name in profiles.names()]
    assert counts == [1, 1, 15]


def test_networks_of_the_user_stay_and_those_of_another_profile_go(in_folder: Path) -> None:
    path = Path("params.yaml")
    mine = "  mine: {architecture: deep_cnn, preprocessing: [[deskew]]}\n"
    set_params(in_folder, ("\nensemble:", f"{mine}\nensemble:"))
    before = path.read_text()
    profiles.apply("record")
    assert mine in path.read_text()
    profiles.apply("default")
    assert sorted(path.read_text().splitlines()) == sorted(before.splitlines())


def git(*arguments: str) -> None:
    author = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    subprocess.run(["git", *author, *arguments], check=True, capture_output=True)


def test_comment_on_a_value_that_goes_does_not_stay_with_the_new_one(in_folder: Path) -> None:
    path = Path("params.yaml")
    before = path.read_text()
    git("init", "--quiet")
    git("add", "params.yaml")
    git("commit", "--quiet", "--message=start")
    edited = before
    for key, typed in (("max_epochs", "3  # my laptop is slow"), ("decay_epochs", "2"), MINE):
        edited = re.sub(rf"^  {key}: .*", f"  {key}: {typed}", edited, flags=re.MULTILINE)
    path.write_text(edited)
    changes = profiles.apply("default")
    assert "-  max_epochs: 3  # my laptop is slow" in changes
    restored = path.read_text().splitlines()
    assert [line for line in restored if line not in before.splitlines()] == [
        f"  {MINE[0]}: {MINE[1]}",
        "  decay_epochs: 8",
    ]


MINE = "batch_size", "128  # a value that stays"


def test_comments_are_compared_with_this_repository_in_the_hook_of_another(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("params.yaml")
    git("init", "--quiet")
    git("add", "params.yaml")
    git("commit", "--quiet", "--message=start")
    monkeypatch.setenv("GIT_DIR", str(in_folder / "elsewhere"))
    edited = re.sub(r"^  max_epochs: .*", "  max_epochs: 39  # mine", path.read_text(), flags=re.M)
    path.write_text(edited)
    profiles.apply("default")
    assert "# mine" not in path.read_text()


def test_comments_stay_where_git_does_not_know_the_file(in_folder: Path) -> None:
    path = Path("params.yaml")
    text = path.read_text()
    path.write_text(re.sub(r"^  max_epochs: .*", "  max_epochs: 39  # mine", text, flags=re.M))
    (added,) = [line for line in profiles.apply("default") if line.startswith("+")]
    assert re.fullmatch(r"\+  max_epochs: 36 +# mine", added)


def test_difference_names_what_changed_and_nothing_else_changes(in_folder: Path) -> None:
    path = Path("params.yaml")
    set_params(in_folder, ("kind: auto", "kind: sample"))
    changes = profiles.apply("record")
    after = path.read_text()
    assert "kind: sample" in after
    assert {line[0] for line in changes} == {"-", "+"}
    for line in changes:
        assert (line[1:] in after.splitlines()) == (line[0] == "+")


def test_link_mode_and_line_ends_of_the_file_stay(in_folder: Path) -> None:
    path, shared = Path("params.yaml"), Path("shared.yaml")
    path.rename(shared)
    shared.write_bytes(shared.read_bytes().replace(b"\n", b"\r\n"))
    shared.chmod(0o600)
    path.symlink_to(shared)
    assert profiles.apply("record")
    assert path.is_symlink() and shared.stat().st_mode & 0o777 == 0o600
    lines = shared.read_bytes().splitlines(keepends=True)
    assert all(line.endswith(b"\r\n") for line in lines)
    assert not profiles.compare("record")


def test_unknown_profile_is_named_and_nothing_is_written(in_folder: Path) -> None:
    before = Path("params.yaml").read_bytes()
    with pytest.raises(ParamsError, match="no profile 'fast'; known: quick, default, record"):
        profiles.apply("fast")
    with pytest.raises(ParamsError, match=r"no profile 'recrod' \(did you mean 'record'\?\); "):
        profiles.apply("recrod")
    assert Path("params.yaml").read_bytes() == before


def test_unusable_file_is_left_alone(in_folder: Path) -> None:
    path = Path("params.yaml")
    set_params(in_folder, ("batch_size: ", "batch_siz: "))
    before = path.read_bytes()
    with pytest.raises(ParamsError, match="batch_siz: no such key"):
        profiles.apply("record")
    assert path.read_bytes() == before


def test_values_that_do_not_go_together_are_named_and_not_written(in_folder: Path) -> None:
    path = in_folder / "params.yaml"
    before = path.read_bytes()
    told = r"params.yaml with these values is not usable: train: expected max_epochs of at least 9"
    with pytest.raises(ParamsError, match=told):
        profiles.write([("train", "max_epochs", 5)], path)
    assert path.read_bytes() == before
    assert [each.name for each in in_folder.iterdir()] == ["params.yaml"]
