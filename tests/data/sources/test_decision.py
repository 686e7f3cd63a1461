from pathlib import Path

import pytest

from pipeline.data.sources import decision
from pipeline.data.sources.decision import ArchiveSource, DataSource, KaggleSource, SampleSource
from pipeline.errors import ArtifactError

SOURCES = [SampleSource(), KaggleSource(), ArchiveSource("data/a.zip", {"a.zip": "f" * 64})]


@pytest.mark.parametrize("source", SOURCES)
def test_written_decision_comes_back(source: DataSource, tmp_path: Path) -> None:
    decision.write(tmp_path / "source.json", source)
    assert decision.read(tmp_path / "source.json") == source


def test_missing_decision_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"source\.json is missing"):
        decision.read(tmp_path / "source.json")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"kind": "zip"}',
        '{"kind": "archive"}',
        '{"kind": "archive", "path": "a", "sha256": "f"}',
        '{"kind": "archive", "path": "a", "sha256": {"a": 5}}',
        '{"kind": "archive", "path": null, "sha256": {}}',
    ],
)
def test_damaged_decision_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "source.json"
    path.write_text(content)
    with pytest.raises(ArtifactError, match=r"source\.json is damaged: .* run: dvc repro$"):
        decision.read(path)
