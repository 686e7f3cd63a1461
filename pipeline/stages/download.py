"""Put verified CSVs into ``data/raw``, with their provenance, or nothing."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline import stages
from pipeline.digits import Provenance
from pipeline.errors import SourceError
from pipeline.files import read_json, replacing, sha256, write_json
from pipeline.sources import archive, kaggle, sample
from pipeline.sources.kaggle_client import USUAL_PATIENCE, Patience

DOWNLOADS = Path("data/.download")
"""Where an interrupted download waits to be continued; DVC does not know it."""


def main(patience: Patience = USUAL_PATIENCE) -> None:
    """Entry point of the stage."""
    decision: dict[str, Any] = read_json(stages.SOURCE)
    with replacing(stages.RAW) as folder:
        folder.mkdir()
        match decision["kind"]:
            case "sample":
                sample.write_tables(folder)
            case "archive":
                archive.extract(_recorded_archive(decision), folder)
            case "kaggle":
                archive.unpack(archive.Found(kaggle.download_archive(DOWNLOADS, patience)), folder)
        provenance = Provenance(
            sample=decision["kind"] == "sample",
            train_sha256=sha256(folder / "train.csv"),
            test_sha256=sha256(folder / "test.csv"),
        )
        write_json(folder / "provenance.json", asdict(provenance))
    print(f"{stages.RAW}: {provenance}")


def _recorded_archive(decision: dict[str, Any]) -> archive.Found:
    found = archive.Found(stages.workspace() / decision["path"])
    if not found.path.exists():
        raise SourceError(
            f"{found.path} was used before, but is no longer there, and its tables are not in "
            f"DVC's cache. Put it back, or set source.kind in params.yaml; then run: dvc repro"
        )
    if found.hashes() != decision["sha256"]:
        raise SourceError(f"{found.path} changed while the pipeline ran. Run again: dvc repro")
    return found


if __name__ == "__main__":
    stages.run(main)
