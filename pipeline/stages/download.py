"""Put verified CSVs into ``data/raw``, with their provenance, or nothing."""

from dataclasses import asdict
from pathlib import Path

from pipeline import stages
from pipeline.data.dataset import Provenance
from pipeline.data.sources import archive, decision, kaggle
from pipeline.data.sources.decision import ArchiveSource, KaggleSource, SampleSource
from pipeline.errors import SourceError
from pipeline.files import atomic_path, sha256, write_json
from pipeline.kaggle.session import DEFAULT_TIMEOUTS, Timeouts

DOWNLOADS = Path("data/.download")
"""Where an interrupted download waits to be continued; DVC does not know it."""


def main(timeouts: Timeouts = DEFAULT_TIMEOUTS) -> None:
    """Entry point of the stage."""
    source = decision.read(stages.SOURCE)
    with atomic_path(stages.RAW) as folder:
        folder.mkdir()
        match source:
            case SampleSource():
                from pipeline.data.sources import sample  # with scikit-learn, only where needed

                sample.write_tables(folder)
            case ArchiveSource():
                archive.extract(_find_recorded(source), folder)
            case KaggleSource():
                archive.unpack(archive.Found(kaggle.download_archive(DOWNLOADS, timeouts)), folder)
        provenance = Provenance(
            sample=isinstance(source, SampleSource),
            train_sha256=sha256(folder / "train.csv"),
            test_sha256=sha256(folder / "test.csv"),
        )
        write_json(folder / "provenance.json", asdict(provenance))
    print(f"{stages.RAW}: {provenance}")


def _find_recorded(source: ArchiveSource) -> archive.Found:
    found = archive.Found(stages.workspace() / source.path)
    if not found.path.exists():
        raise SourceError(
            f"{found.path} was used before, but is no longer there, and its tables are not in "
            f"DVC's cache. Put it back, or set source.kind in params.yaml; then run: dvc repro"
        )
    if found.hashes() != source.sha256:
        raise SourceError(f"{found.path} changed while the pipeline ran. Run again: dvc repro")
    return found


if __name__ == "__main__":
    stages.run(main)
