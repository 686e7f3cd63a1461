"""Every reader of the package with a small valid file for it, and how to tell what it accepts."""

import csv
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline import params
from pipeline.data import dataset, label_corrections, label_table, tables
from pipeline.data.dataset import Provenance, TrainingDigits, UnlabelledDigits
from pipeline.data.label_corrections import LabelCorrections, LabelVerdict
from pipeline.data.sources import archive, decision
from pipeline.data.sources.decision import ArchiveSource
from pipeline.ensemble.onnx import ExportedEnsemble, ExportedMember, ExportRecord
from pipeline.evaluation import predictions
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.files import sha256, write_json
from pipeline.handwriting import items, pictures
from pipeline.networks import record as member_record
from pipeline.report import records
from pipeline.submissions import checks, kaggle_run
from pipeline.submissions import file as submission_file
from pipeline.submissions import log as submission_log
from pipeline.submissions.file import SubmissionRecord
from pipeline.submissions.kaggle_run import KaggleRun
from pipeline.submissions.log import Entry
from pipeline.training.state import TrainingState

PROVENANCE = Provenance(True, "a" * 64, "b" * 64)
ROWS = 3
"""Images in every data set."""


@dataclass(frozen=True)
class Reader:
    """Something that reads a file.

    Attributes:
        file: the file's name.
        prepare: write the valid file, and what belongs next to it, into a folder.
        read: read the file in a folder, and use what it holds as the package does.
        write: write into a folder what `read` gave, so that it reads as the same again; None where
            the package never writes such files, and `read` checks what it accepts.
    """

    file: str
    prepare: Callable[[Path], None]
    read: Callable[[Path], Any]
    write: Callable[[Path, Any], None] | None = None

    def check(self, folder: Path, scratch: Path) -> None:
        """Read the file in ``folder``, and hold what is accepted against what is written again.

        Args:
            folder: that `prepare` filled, with the file changed or not.
            scratch: another folder that `prepare` filled, to be written into.

        Raises:
            PipelineError: the file is refused, as the user is told.
            Exception: of any other kind: the reader is at fault.
        """
        value = self.read(folder)
        if self.write is not None:
            self.write(scratch, value)
            again = self.read(scratch)
            if not is_equal(value, again):
                raise AssertionError(f"{self.file} reads as {value}, and written as {again}")


def is_equal(one: Any, other: Any) -> bool:
    """Whether two values are the same in kind and content, arrays and all."""
    if type(one) is not type(other):
        return False
    if is_dataclass(one) or isinstance(one, dict):
        parts, others = (each if isinstance(each, dict) else vars(each) for each in (one, other))
        return list(parts) == list(others) and is_equal(list(parts.values()), [*others.values()])
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(is_equal, one, other))
    if isinstance(one, np.ndarray):
        same = one.dtype == other.dtype and one.shape == other.shape
        return bool(same and one.tobytes() == other.tobytes())
    return bool(one == other or (one != one and other != other))


def images(count: int = ROWS) -> dataset.Images:
    """Small seeded images."""
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)


LABELS = np.array([1, 2, 3], np.uint8)


def _write_training(path: Path, digits: TrainingDigits | None = None) -> None:
    folds = np.arange(ROWS, dtype=np.uint8)
    corrected = np.array([1, 2, dataset.LEFT_OUT], np.uint8)
    dataset.save(path, digits or TrainingDigits(images(), LABELS, folds, PROVENANCE, corrected))


def _read_training(path: Path) -> TrainingDigits:
    digits = dataset.load_labelled(path)
    assert np.bincount(digits.to_train_on().labels, minlength=10).shape == (10,)
    return digits


def _write_predictions(path: Path) -> None:
    probabilities = np.full((ROWS, 10), 0.1)
    rows = np.arange(ROWS)
    OutOfFoldPredictions(
        rows, LABELS, probabilities, probabilities, {"0-0-small": "c" * 64}, "a" * 64
    ).save(path)


def _read_predictions(path: Path) -> OutOfFoldPredictions:
    found = predictions.load(path)
    assert found.correct.shape == found.refined.shape == found.rows.shape
    return found


def _write_state(path: Path) -> None:
    history = [{"epoch": 1, "images": 3, "loss": 0.5, "accuracy": 0.5, "seconds": 1.0}]
    weights = [np.ones((2, 3), np.float32), np.zeros(3, np.float32)]
    TrainingState(history, 1, None, False, weights, weights, weights, [np.zeros(3)]).save(path)


def _read_state(path: Path) -> TrainingState:
    state = TrainingState.load(path)
    assert TrainingState.is_finished(path) is state.finished
    assert all(isinstance(epoch["loss"], float) for epoch in state.history)
    assert isinstance(state.best_epoch, int)
    return state


_CONDITIONS = member_record.Conditions(
    seed=0,
    train={"batch_size": 128},
    augmentation={"shift_pixels": 1.0},
    architecture="pooled_cnn",
    preprocessing=[[], ["deskew"]],
    data_sha256="c" * 64,
    code_sha256={"training/loop.py": "d" * 64},
    machine={"cpu": "A processor"},
)
_MEMBER = member_record.MemberRecord(
    *(0, 0, "small", "pooled_cnn", [[], ["deskew"]], PROVENANCE, 391_594, 8, 8, 40, 0, 12.5, 2),
    conditions=_CONDITIONS,
)


def _write_submission(folder: Path) -> None:
    path = folder / "submission.csv"
    submission_file.write(path, LABELS)
    members = {"0-0-small": "e" * 64}
    record = SubmissionRecord(sha256(path), ROWS, PROVENANCE, members, "f" * 64, "0" * 40)
    submission_file.write_record(path, record)


def _read_submission_record(folder: Path) -> SubmissionRecord | None:
    return submission_file.read_record(folder / "submission.csv")


def _rewrite_submission_record(folder: Path, record: SubmissionRecord | None) -> None:
    if record is None:  # of another file
        (folder / "submission.json").unlink(missing_ok=True)
    else:
        submission_file.write_record(folder / "submission.csv", record)


_METRICS = {"accuracy": 0.99, "neighbours": [["p", 0.5]], "members": [["0-0-small", "e" * 64]]}


def _read_accuracy(path: Path) -> None:
    members, refinement = {"0-0-small": "e" * 64}, {"p": 0.5}
    record = SubmissionRecord(
        "a" * 64, ROWS, PROVENANCE, members, "f" * 64, None, neighbours=refinement
    )
    accuracy = checks.find_accuracy(record, path)
    assert accuracy is None or isinstance(accuracy, float)


_LOG = [Entry(time="2026-01-02T03:04:05Z", reference="7", message='a, "b"\nc', sha256="a" * 64)]


def _read_log(path: Path) -> list[Entry]:
    entries = submission_log.read(path)
    submission_log.find(entries, "a" * 64)
    submission_log.find_attempt(entries, "a" * 64)
    return sorted(entries, key=lambda entry: entry.time)


def _write_model(path: Path) -> None:
    from pipeline.networks import trained
    from pipeline.networks.backend import keras

    pixels = keras.Input((28, 28), dtype="uint8")
    model = keras.Model(pixels, keras.layers.Dense(10)(keras.layers.Flatten()(pixels)))
    trained.save_model(model, path)


def _read_model(path: Path) -> None:
    from pipeline.networks import trained

    network = trained.TrainedNetwork(trained.load_model(path), ((),))
    assert network.logits(images()).shape == (ROWS, 10)


def _write_ensemble(folder: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Slice", ["flat", "start", "end", "axis"], ["logits"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([value], np.int64), name)
        for name, value in (("start", 390), ("end", 400), ("axis", 1))
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 10])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "small.onnx")
    member = ExportedMember("small", "a" * 64, ((), ("deskew",)), sha256(folder / "small.onnx"))
    ExportRecord(True, (member,)).write(folder)


def _read_ensemble(folder: Path) -> ExportRecord:
    ensemble = ExportedEnsemble.load(folder, folder / "models")
    probabilities = ensemble.probabilities(images())
    assert probabilities.shape == (ROWS, 10)
    assert np.allclose(probabilities.sum(axis=1), 1)
    return ExportRecord.read(folder)


_CORRECTIONS = LabelCorrections(
    "a" * 64,
    "sample-" + "b" * 12,
    (LabelVerdict(2, 0, 1, "wrong", 7), LabelVerdict(3, 1, 2, "unreadable", None)),
)


def _read_label_table(path: Path) -> tuple[str | None, list[tuple[Any, ...]]]:
    found = label_table.read(path)
    found.summarize()
    return found.data, [
        (each.row, each.label, each.verdict, each.correction) for each in found.verdicts
    ]


def _write_label_table(path: Path, found: tuple[str | None, list[tuple[Any, ...]]]) -> None:
    data, verdicts = found
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*label_table.COLUMNS, label_table.OPTIONAL_COLUMN])
        writer.writerows([*verdict, data] for verdict in verdicts)


_TABLE = (
    "sample-" + "b" * 12,
    [(0, 1, "wrong", 7), (1, 2, "right", None), (2, 3, "unreadable", None)],
)


def _write_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, labels in (("train.csv", LABELS), ("test.csv", None)):
            table = path.with_name(name)
            tables.write(table, images(), labels)
            target.write(table, name)
            table.unlink()


def _read_archive(path: Path) -> None:
    target = path.with_name("unpacked")
    archive.extract(archive.Found(path), target)
    assert [(target / name).is_file() for name in archive.TABLES] == [True, True]


def _picture(kind: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        grey = Image.fromarray(np.repeat(images(1)[0], 2, axis=1))
        picture = grey.convert("P") if kind == "GIF" else grey
        picture.save(folder / f"picture.{kind.lower()}", kind)

    return write


def _read_picture(kind: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        path = folder / f"picture.{kind.lower()}"
        pixels = pictures.read(path)
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 4
        pictures.is_picture(path)

    return read


def _write_labelled(folder: Path) -> None:
    (folder / "index.csv").write_text("path,label\na.png,1\nb.png,2\n")


def _read_items(folder: Path) -> None:
    """As `digits predict` gathers them: what cannot be used is an item that says so."""
    found, _ = items.gather([str(folder)], bytes)
    for item in found:
        assert item.label in (None, *range(10))
        item.name.encode()


def _read_table_items(folder: Path) -> None:
    found, _ = items.gather([str(folder / "images.csv")], bytes)
    for item in found:
        assert item.label in (None, *range(10))


_RUN = KaggleRun("sent", "someone/run", 3, 2, "2026-01-02T03:04:05Z", None, "a" * 64, None)


_PAGE: dict[str, tuple[type[Any], Any]] = {
    "run": (records.Run, records.Run(*["1"] * 5)),
    "data": (records.DataSummary, records.DataSummary(60, 1)),
    "test": (records.TestSummary, records.TestSummary(20, 1, 9.5, 9, 0.4)),
    "explanation": (records.ExplanationSummary, records.ExplanationSummary(9, 1, 7, 1, "a" * 64)),
    "map": (
        records.MapSummary,
        records.MapSummary(
            9, {"0": records.MapOfFold("0-0-small", 9, 20, 1, 2, 128, 0.9)}, "a" * 64
        ),
    ),
}
"""Files that the page shows: their kind, and one of them."""


def _at(name: str, action: Callable[..., Any]) -> Callable[..., Any]:
    """The same action, for the folder that holds a file of that name."""
    return lambda folder, *arguments: action(folder / name, *arguments)


def _of(
    name: str,
    prepare: Callable[[Path], Any],
    read: Callable[[Path], Any],
    write: Callable[[Path, Any], None] | None = None,
) -> Reader:
    return Reader(name, _at(name, prepare), _at(name, read), write and _at(name, write))


def _copy_params(path: Path) -> None:
    path.write_bytes((Path(__file__).parent.parent / "params.yaml").read_bytes())


def _json(content: Any) -> Callable[[Path], None]:
    return lambda path: write_json(path, content)


def _read_page(kind: type[Any], path: Path) -> dict[str, Any]:
    return records.read(path, kind)


_TEST = UnlabelledDigits(images(), PROVENANCE)

READERS = {
    "params": _of("params.yaml", _copy_params, params.load_file),
    "train": _of("train.npz", _write_training, _read_training, _write_training),
    "test": _of(
        "test.npz", lambda path: dataset.save(path, _TEST), dataset.load_test, dataset.save
    ),
    "predictions": _of(
        "out_of_fold.npz",
        _write_predictions,
        _read_predictions,
        lambda path, value: value.save(path),
    ),
    "state": _of("state.npz", _write_state, _read_state, lambda path, value: value.save(path)),
    "member": Reader(
        "member.json",
        lambda folder: member_record.write_record(folder, _MEMBER),
        member_record.read_record,
        member_record.write_record,
    ),
    "submission": Reader(
        "submission.csv",
        _write_submission,
        lambda folder: submission_file.read(folder / "submission.csv", expected_rows=ROWS),
        lambda folder, digits: submission_file.write(folder / "submission.csv", digits),
    ),
    "submission_record": Reader(
        "submission.json", _write_submission, _read_submission_record, _rewrite_submission_record
    ),
    "log": _of(
        "log.csv", lambda path: submission_log.write(path, _LOG), _read_log, submission_log.write
    ),
    "ensemble": Reader(
        "ensemble.json", _write_ensemble, _read_ensemble, lambda folder, value: value.write(folder)
    ),
    "onnx": Reader("small.onnx", _write_ensemble, _read_ensemble),
    "model": _of("model.keras", _write_model, _read_model),
    "metrics": _of("metrics.json", _json(_METRICS), _read_accuracy),
    "provenance": _of("provenance.json", _json(asdict(PROVENANCE)), dataset.read_provenance),
    "source": _of(
        "source.json",
        lambda path: decision.write(path, ArchiveSource("data/a.zip", {"a.zip": "a" * 64})),
        decision.read,
        decision.write,
    ),
    "corrections": _of(
        "label_corrections.json",
        lambda path: label_corrections.write(path, _CORRECTIONS),
        label_corrections.read,
        label_corrections.write,
    ),
    "labels": _of(
        "labels.csv",
        lambda path: _write_label_table(path, _TABLE),
        _read_label_table,
        _write_label_table,
    ),
    "train_table": _of(
        "train.csv",
        lambda path: tables.write(path, images(), LABELS),
        lambda path: tables.read_train(path, expected_rows=None),
        lambda path, value: tables.write(path, *value),
    ),
    "test_table": _of(
        "test.csv",
        lambda path: tables.write(path, images()),
        lambda path: tables.read_test(path, expected_rows=ROWS),
        tables.write,
    ),
    "archive": _of("digit-recognizer.zip", _write_archive, _read_archive),
    "labelled": Reader("index.csv", _write_labelled, _read_items),
    "table_items": Reader(
        "images.csv",
        lambda folder: tables.write(folder / "images.csv", images(), LABELS),
        _read_table_items,
    ),
    **{
        f"page_{name}": _of(
            "summary.json",
            _json(asdict(content)),
            partial(_read_page, kind),
            lambda path, value: write_json(path, value),
        )
        for name, (kind, content) in _PAGE.items()
    },
    "kaggle_run": _of("run.json", _json(asdict(_RUN)), kaggle_run.read),
    **{
        f"picture_{kind.lower()}": Reader(
            f"picture.{kind.lower()}", _picture(kind), _read_picture(kind)
        )
        for kind in ("PNG", "JPEG", "GIF", "BMP", "PPM", "TIFF", "WEBP")
    },
}
"""By name."""
