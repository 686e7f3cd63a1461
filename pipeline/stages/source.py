"""Check every parameter and decide where the data comes from; write ``data/source.json``.

What ``data/labels.csv`` holds goes to ``data/label_corrections.json``, which is always there.

Runs on every ``dvc repro``, before DVC deletes any output of a later stage. Downloads nothing.
What was decided once stays decided while nothing better is at hand: a missing archive or credential
does not turn a run on the competition's data into one on the sample.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline import environment, params, stages
from pipeline.data import dataset, label_corrections, label_table
from pipeline.data.label_corrections import LabelCorrections
from pipeline.data.sources import archive, decision, search
from pipeline.data.sources.decision import ArchiveSource, DataSource, KaggleSource, SampleSource
from pipeline.errors import SourceError, printable
from pipeline.files import clear_leftovers, expand_user, read_json, sha256, write_json
from pipeline.kaggle import credentials
from pipeline.networks.definition import check_network, describe_network
from pipeline.project import FOLDER
from pipeline.wording import counted

SEARCHED = [
    Path("data"),
    Path("data/digit-recognizer"),  # as a file manager or browser unpacks the archive
]


def main(attached: Path = search.ATTACHED) -> None:
    """Entry point of the stage."""
    environment.check_folders()
    clear_leftovers(Path())
    for folder in environment.OUTPUT_FOLDERS:
        clear_leftovers(Path(folder), recursive=True)
    settings = params.load_file()
    check_networks(settings.networks)
    check_raw_folder(stages.RAW)
    source = decide(settings.source, read_earlier(), attached)
    corrections = read_label_corrections(source)
    on_sample = isinstance(source, SampleSource)
    write_networks(settings.networks, settings.source.sample_epochs if on_sample else None)
    if not stages.SOURCE.exists() or source != decision.read(stages.SOURCE):
        decision.write(stages.SOURCE, source)
    write_label_corrections(corrections)
    epochs = describe_epochs(settings) if on_sample else ""
    print(f"data source: {printable(describe(source))}{epochs}")
    if corrections:
        print(f"{stages.LABELS}: {corrections.summarize()}")
    if second := find_second_labels():
        print(
            f"warning: {second} is not used: labels are corrected by {stages.LABELS} alone. If it "
            "is a newer download, give it that name.",
            file=sys.stderr,
        )
    if former := describe_former_models():
        print(former)
    if on_sample:
        print(stages.SAMPLE_NOTICE, file=sys.stderr)


def describe_epochs(settings: params.Params) -> str:
    """That training on the sample is shorter, if it is."""
    epochs, usual = settings.source.sample_epochs, settings.train.max_epochs
    if epochs >= usual:
        return ""
    return f"; it gets {counted(epochs, 'epoch')} (source.sample_epochs), other data up to {usual}"


def read_earlier() -> DataSource | None:
    """The previous decision; in DVC's copy for an experiment, that of the project's own folder.

    Raises:
        ArtifactError: the file that holds it is damaged.
    """
    for path in (stages.SOURCE, stages.workspace() / stages.SOURCE):
        if path.exists():
            return decision.read(path)
    return None


def check_networks(networks: Mapping[str, params.Network]) -> None:
    """Check that every network's architecture and transforms exist.

    Raises:
        ParamsError: one does not.
    """
    for name, network in networks.items():
        check_network(name, network)


def write_networks(
    networks: Mapping[str, params.Network], sample_epochs: int | None = None
) -> None:
    """Describe each network in ``data/networks/``, where DVC sees it change.

    Args:
        networks: by name, checked.
        sample_epochs: of params.yaml, where the data is the sample.
    """
    described = {
        stages.NETWORKS / f"{name}.json": describe_network(network, sample_epochs)
        for name, network in networks.items()
    }
    for path, description in described.items():
        if not path.exists() or read_json(path) != description:
            write_json(path, description)
    for path in stages.NETWORKS.iterdir():
        if path not in described:
            path.unlink()


def find_labels() -> Path | None:
    """Where ``labels.csv`` lies; in DVC's copy for an experiment, also in the project's folder."""
    candidates = [stages.LABELS]
    if stages.workspace() != FOLDER:
        candidates.append(stages.workspace() / stages.LABELS)
    return next((path for path in candidates if path.exists() or path.is_symlink()), None)


def find_second_labels() -> Path | None:
    """What a browser may have made of a second ``labels.csv``: ``labels (1).csv``."""
    folder = stages.workspace() / stages.LABELS.parent
    alike = re.compile(r"labels\W*\d*\W*\.csv", re.IGNORECASE)
    found = [path.name for path in folder.iterdir() if alike.fullmatch(path.name)]
    second = min((name for name in found if name != stages.LABELS.name), default=None)
    return stages.LABELS.with_name(second) if second else None


def read_label_corrections(source: DataSource) -> LabelCorrections | None:
    """Read and check ``labels.csv``; None if there is none.

    Args:
        source: where the data comes from. If it is that of the last run, labels are compared with
            those of ``train.csv``; if not, the prepare stage does so.

    Raises:
        TableError: the file is wrong, or of other data.
    """
    path = find_labels()
    if path is None:
        return None
    corrections = label_table.read(path)
    label_corrections.check_kind(path, corrections, sample=isinstance(source, SampleSource))
    provenance = stages.RAW / "provenance.json"
    known = all(each.exists() for each in (stages.SOURCE, stages.TRAIN, provenance))
    if known and decision.read(stages.SOURCE) == source:
        data = dataset.load_labelled(stages.TRAIN)
        if data.provenance == dataset.read_provenance(provenance):
            label_corrections.check(path, corrections, data.labels, data.provenance)
    return corrections


def write_label_corrections(corrections: LabelCorrections | None) -> None:
    """Write ``data/label_corrections.json``, where DVC sees it change, if it does."""
    path = stages.LABEL_CORRECTIONS
    if not path.exists() or label_corrections.read(path) != corrections:
        label_corrections.write(path, corrections)


def describe_former_models() -> str | None:
    """One line about networks of a version before 1.0, whose folders tell what they are."""
    if not stages.MODELS.exists():
        return None
    former = [path for path in stages.MODELS.iterdir() if path.name.count("-") > 2]
    if not former:
        return None
    return (
        f"{stages.MODELS}/ holds {counted(len(former), 'network')} of a version before 1.0, not "
        f"used any more: each network trains once more. Delete {former[0]} when you like."
    )


def check_raw_folder(folder: Path) -> None:
    """Refuse files in ``data/raw`` that the download stage did not write: DVC would delete them.

    The stage writes ``provenance.json`` last, so that only what was put there later is hashed.

    Raises:
        SourceError: there are such files.
    """
    if not folder.exists():
        return
    provenance = folder / "provenance.json"
    vouched = read_json(provenance) if provenance.exists() else None
    for path in sorted(folder.iterdir()):
        if path == provenance or path.name.startswith("."):
            continue
        known = vouched.get(f"{path.stem}_sha256") if isinstance(vouched, dict) else None
        if known and path.is_file() and path.stat().st_ctime_ns <= provenance.stat().st_ctime_ns:
            continue
        if not path.is_file() or sha256(path) != known:
            raise SourceError(
                f"{path} is not what the download stage put there, and DVC would delete it. Move "
                "it to data/ if the pipeline is to use it, or delete it; then run: dvc repro"
            )


def decide(
    source: params.Source, earlier: DataSource | None, attached: Path = search.ATTACHED
) -> DataSource:
    """Where the data comes from.

    Args:
        source: the section of params.yaml.
        earlier: the previous decision, if there is one.
        attached: where a notebook of Kaggle's finds the data that is attached to it.

    Raises:
        SourceError: what was asked for is not at hand, or is damaged, or something is attached in
            which the competition's data is not recognised.
        KaggleError: credentials are at hand, but cannot be used.
    """
    kind = source.kind
    if kind == "sample":
        return SampleSource()
    if kind in ("auto", "archive"):
        asked = stages.workspace() / expand_user(source.path) if source.path else None
        if asked and (asked.exists() or not _is_of_archive(earlier, asked)):
            return _record(search.open_path(asked), earlier)
        searched = [stages.workspace() / folder for folder in SEARCHED]
        found = None if asked else search.find(searched) or search.find_attached(attached)
        if found:
            return _record(found, earlier)
        if earlier and _is_of_archive(earlier, asked):
            return earlier
    if kind in ("auto", "kaggle"):
        if isinstance(earlier, KaggleSource) or credentials.find():
            return KaggleSource()
        if kind == "kaggle":
            raise SourceError(
                "source.kind in params.yaml is kaggle, but nothing to log in with is at hand. "
                f"{credentials.NONE_FOUND} Or put the competition's archive at "
                f"data/{archive.ARCHIVE_NAME} and set source.kind to auto."
            )
    if names := search.describe_attached(attached):
        raise SourceError(
            f"{attached} holds no data of this competition: expected train.csv and test.csv with "
            f"its columns, found {names}. {search.ATTACH_IT}, or set source.kind to sample."
        )
    if kind == "auto":
        return SampleSource()
    raise SourceError(
        f"source.kind in params.yaml is archive, but there is neither data/{archive.ARCHIVE_NAME} "
        "nor data/train.csv with data/test.csv. Put the competition's archive there, or name it "
        "as source.path."
    )


def describe(source: DataSource) -> str:
    """One line for people."""
    match source:
        case SampleSource():
            return "the embedded sample"
        case KaggleSource():
            return "Kaggle"
        case ArchiveSource(path=path) if (stages.workspace() / path).exists():
            return path
    return f"{source.path} (no longer there; using what was read)"


def _is_of_archive(earlier: DataSource | None, asked: Path | None) -> bool:
    if not isinstance(earlier, ArchiveSource):
        return False
    path = stages.workspace() / earlier.path
    return asked is None or asked in (path, path.parent)


def _record(found: archive.Found, earlier: DataSource | None) -> ArchiveSource:
    path, workspace = found.path, stages.workspace()
    if path.is_relative_to(workspace):
        path = path.relative_to(workspace)
    source = ArchiveSource(path.as_posix(), found.hashes())
    if source != earlier:
        archive.check(found)
    return source


if __name__ == "__main__":
    stages.run(main)
