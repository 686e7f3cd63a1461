"""What ``digits kaggle wheels`` collects: real pip, packages made here, no index but a folder."""

import io
import json
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.errors import KaggleError, PackagesError, PipelineError, ProjectError
from pipeline.files import sha256, write_json
from pipeline.kaggle import pip, wheels
from pipeline.kaggle.credentials import AccessToken, Credentials, Key
from pipeline.kaggle.lock import Pin

BACKEND = """
import zipfile

def build_wheel(folder, config=None, metadata=None):
    name = "{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(f"{{folder}}/{{name}}", "w") as wheel:
        for file, text in {files!r}.items():
            wheel.writestr(file, text)
    return name
"""


def contents(name: str, tag: str) -> dict[str, str]:
    info = f"{name}-1.0.dist-info"
    return {
        f"{name}.py": "VALUE = 1\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/RECORD": "",
    }


def put_wheel(folder: Path, name: str, tag: str = "py3-none-any") -> str:
    """Make a wheel; its hash."""
    path = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in contents(name, tag).items():
            wheel.writestr(file, text)
    return sha256(path)


def put_source(folder: Path, name: str, tag: str = "py3-none-any") -> str:
    """Make a source archive that builds a wheel of this tag; its hash."""
    files = {
        "backend.py": BACKEND.format(name=name, tag=tag, files=contents(name, tag)),
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
        'backend-path = ["."]\n',
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
    }
    path = folder / f"{name}-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{file}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return sha256(path)


def pin(name: str, *hashes: str) -> Pin:
    return Pin(name, "1.0", frozenset(hashes))


def collect(folder: Path, *pins: Pin) -> tuple[list[str], list[str]]:
    """Names of the wheels that are there now, and of the packages that had to come."""
    shown: list[str] = []

    def show(_: int, batch: Sequence[Pin]) -> None:
        shown.extend(each.name for each in batch)

    found = wheels.collect(folder, pins, show)
    assert [wheel.path for wheel in found] == sorted(folder.glob("*.whl"))
    return [wheel.path.name for wheel in found], shown


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip finds packages."""
    (tmp_path / "index").mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the packages are to come."""
    return tmp_path / "wheels"


def test_wheels_of_the_image_are_chosen_and_described(index: Path, folder: Path) -> None:
    tags = ["cp311-cp311-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_28_x86_64"]
    tags += ["cp312-cp312-manylinux_2_39_x86_64", "cp312-cp312-macosx_11_0_arm64"]
    compiled = pin("compiled", *(put_wheel(index, "compiled", tag) for tag in tags))
    pure = pin("pure", put_wheel(index, "pure"))
    names, shown = collect(folder, compiled, pure)
    assert names == [f"compiled-1.0-{tags[1]}.whl", "pure-1.0-py3-none-any.whl"]
    assert shown == ["compiled", "pure"]
    lines = (folder / "requirements.txt").read_text().splitlines()
    assert lines == [
        f"{name.partition('-')[0]}==1.0 --hash=sha256:{sha256(folder / name)}" for name in names
    ]
    assert json.loads((folder / "wheels.json").read_text()) == {"python": "3.12", "built": {}}
    assert {path.name for path in folder.iterdir()} == {*names, "requirements.txt", "wheels.json"}


def test_nothing_comes_twice(index: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = [pin(name, put_wheel(index, name)) for name in ("one", "two")]
    collect(folder, *pins)
    monkeypatch.setattr(pip, "download", None)
    assert collect(folder, *pins)[1] == []


def test_interrupted_download_goes_on(index: Path, folder: Path) -> None:
    pins = [pin(f"package{number}", put_wheel(index, f"package{number}")) for number in range(10)]
    (index / "package9-1.0-py3-none-any.whl").rename(index / "away")
    with pytest.raises(PackagesError, match=r"package9==1\.0 has no wheel"):
        collect(folder, *pins)
    assert not (folder / "requirements.txt").exists()
    (index / "away").rename(index / "package9-1.0-py3-none-any.whl")
    assert collect(folder, *pins)[1] == ["package8", "package9"]


def test_damaged_wheel_comes_again(index: Path, folder: Path) -> None:
    pins = [pin(name, put_wheel(index, name)) for name in ("one", "two")]
    collect(folder, *pins)
    (folder / "one-1.0-py3-none-any.whl").write_bytes(b"PK")
    assert collect(folder, *pins)[1] == ["one"]


def test_wheels_of_another_lock_are_removed(index: Path, folder: Path) -> None:
    pins = [pin(name, put_wheel(index, name)) for name in ("one", "two")]
    collect(folder, *pins)
    assert collect(folder, pins[1])[0] == ["two-1.0-py3-none-any.whl"]


def test_package_without_wheels_is_built_once(index: Path, folder: Path) -> None:
    pins = [pin("pure", put_wheel(index, "pure")), pin("source", put_source(index, "source"))]
    names, _ = collect(folder, *pins)
    assert names == ["pure-1.0-py3-none-any.whl", "source-1.0-py3-none-any.whl"]
    assert sha256(folder / names[1]) in (folder / "requirements.txt").read_text()
    assert collect(folder, *pins)[1] == []
    (folder / names[1]).write_bytes(b"PK")
    assert collect(folder, *pins)[1] == ["source"]


@pytest.mark.parametrize("tag", ["cp312-cp312-linux_x86_64", None])
def test_package_without_wheel_is_named(index: Path, folder: Path, tag: str | None) -> None:
    digest = put_source(index, "source", tag) if tag else "0" * 64
    expected = r"source==1\.0 has no wheel for Python 3\.12 on Linux x86-64, and none could be "
    with pytest.raises(PackagesError, match=expected):
        collect(folder, pin("source", digest))
    assert not (folder / ".unfinished").exists()


def test_other_file_than_the_lock_names_is_refused(index: Path, folder: Path) -> None:
    put_wheel(index, "pure")
    with pytest.raises(PackagesError, match=r"pure==1\.0 is not the file that requirements\.lock"):
        collect(folder, pin("pure", "0" * 64))
    assert not list(folder.glob("*.whl"))


def test_index_out_of_reach_is_explained(
    index: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(PackagesError, match=r"index is out of reach .* run the same command again"):
        collect(folder, pin("pure", "0" * 64))


def test_full_disk_is_named(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(ProjectError, match=r"Only .* GB are free in .*need up to 1000000"):
        wheels.check_space(folder, 1_000_000)
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    with pytest.raises(PackagesError, match="The disk is full"):
        pip._raise_if_known(said)


def test_folder_with_other_files_is_refused(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.tex").touch()
    with pytest.raises(ProjectError, match=r"holds other files, thesis\.tex among them"):
        collect(folder)
    with pytest.raises(ProjectError, match="is a file"):
        collect(folder / "thesis.tex")


@pytest.mark.parametrize(
    ("user", "found", "expected"),
    [
        ("me", None, "me"),
        ("me", Key("kaggle.json", "someone", "secret"), "me"),
        (None, Key("kaggle.json", "someone", "secret"), "someone"),
        (None, None, None),
        (None, AccessToken("KAGGLE_API_TOKEN", "secret"), None),
    ],
)
def test_owner_of_the_data_set_is_known_or_asked_for(
    folder: Path, user: str | None, found: Credentials | None, expected: str | None
) -> None:
    if expected is None:
        with pytest.raises(KaggleError, match="needs an owner.*Name it: --user NAME"):
            wheels.name_dataset(folder, user, lambda: found)
        return
    address = wheels.name_dataset(folder, user, lambda: found)
    assert address == f"{expected}/digit-recognizer-wheels"


@pytest.mark.parametrize("user", ["", "a b/[red]", "me/mine"])
def test_what_is_no_name_at_kaggle_is_refused(user: str, folder: Path) -> None:
    with pytest.raises(KaggleError, match="is no name at Kaggle: expected letters, digits"):
        wheels.name_dataset(folder, user, lambda: None)


def test_description_is_what_kaggles_client_reads_and_keeps_what_was_written(folder: Path) -> None:
    wheels.describe_dataset(folder, "me/digit-recognizer-wheels")
    described = json.loads((folder / "dataset-metadata.json").read_text())
    assert described["id"] == "me/digit-recognizer-wheels"
    assert 6 <= len(described["title"]) <= 50 and len(described["licenses"]) == 1
    write_json(
        folder / "dataset-metadata.json", described | {"title": "My wheels", "id": "me/mine"}
    )
    assert wheels.name_dataset(folder, None, lambda: None) == "me/mine"
    wheels.describe_dataset(folder, "me/mine")
    assert json.loads((folder / "dataset-metadata.json").read_text())["title"] == "My wheels"


@pytest.mark.parametrize("text", ["[]", "{}", '{"id": 5}', '{"id"'])
def test_damaged_description_of_the_data_set_is_told(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / wheels.METADATA).write_text(text)
    with pytest.raises(PipelineError, match="dataset-metadata.json (does not tell|is damaged)"):
        wheels.name_dataset(folder, None, lambda: None)
    with pytest.raises(PipelineError, match="dataset-metadata.json (does not tell|is damaged)"):
        wheels.describe_dataset(folder, "someone/wheels")


@pytest.mark.parametrize("text", ["[]", '{"built": []}'])
def test_packages_of_a_damaged_list_are_built_again(index: Path, folder: Path, text: str) -> None:
    pure = pin("pure", put_wheel(index, "pure"))
    collect(folder, pure)
    (folder / wheels.MANIFEST).write_text(text)
    assert collect(folder, pure) == (["pure-1.0-py3-none-any.whl"], [])
