"""Where the data comes from, as ``data/source.json`` records it."""

from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import ArtifactError
from pipeline.files import read_json, write_json
from pipeline.kaggle.credentials import COMPETITION


@dataclass(frozen=True)
class ArchiveSource:
    """Files that the user put at hand.

    Attributes:
        path: the archive, or the folder that holds the two CSVs; relative to the project's.
        sha256: hash of each file, by its name.
    """

    path: str
    sha256: dict[str, str]
    kind = "archive"


@dataclass(frozen=True)
class KaggleSource:
    """What Kaggle serves.

    Attributes:
        competition: its name in addresses.
    """

    competition: str = COMPETITION
    kind = "kaggle"


@dataclass(frozen=True)
class SampleSource:
    """The embedded sample."""

    kind = "sample"


DataSource = ArchiveSource | KaggleSource | SampleSource


def write(path: Path, source: DataSource) -> None:
    """Write what `read` reads."""
    write_json(path, {"kind": source.kind} | asdict(source))


def read(path: Path) -> DataSource:
    """Read what the source stage decided.

    Raises:
        ArtifactError: the file is missing or damaged.
    """
    match read_json(path):
        case {"kind": "sample"}:
            return SampleSource()
        case {"kind": "kaggle"}:
            return KaggleSource()
        case {"kind": "archive", "path": str(place), "sha256": dict(hashes)} if all(
            isinstance(text, str) for pair in hashes.items() for text in pair
        ):
            return ArchiveSource(place, hashes)
    raise ArtifactError(
        f"{path} is damaged: expected what the source stage writes, a kind of data and where it "
        "lies. Delete it and run: dvc repro"
    )
