import shutil
from contextlib import chdir
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import params, stages
from pipeline.architectures import build
from pipeline.data import dataset, label_corrections
from pipeline.data.dataset import LEFT_OUT, Provenance, TrainingDigits, UnlabelledDigits
from pipeline.data.label_corrections import CorrectionSummary, LabelCorrections, LabelVerdict
from pipeline.ensemble.averaging import average_probabilities, predict_probabilities
from pipeline.ensemble.neighbours import refine_with_neighbours
from pipeline.ensemble.onnx import ExportedEnsemble
from pipeline.errors import ArtifactError
from pipeline.files import read_json, sha256, write_json
from pipeline.networks.backend import keras
from pipeline.networks.trained import load_network, save_model
from pipeline.stages import export, predict
from pipeline.submissions import file as submission
from tests.conftest import ROOT, SMALL_NETWORK, modules_after, set_params
from tests.members import write_record

NO_NEIGHBOURS = "confidence_threshold: 0.98", "confidence_threshold: 0"


MEMBER = stages.MODELS / "0-0-small"


@pytest.fixture(scope="module")
def exported(
    training_digits: TrainingDigits,
    test_digits: UnlabelledDigits,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with params, digits and one untrained, exported member that belongs to them."""
    folder = tmp_path_factory.mktemp("exported")
    shutil.copy(ROOT / "params.yaml", folder)
    set_params(folder, SMALL_NETWORK)
    with chdir(folder):
        dataset.save(stages.TRAIN, training_digits)
        dataset.save(stages.TEST, test_digits)
        label_corrections.write(stages.LABEL_CORRECTIONS, None)
        keras.utils.set_random_seed(0)
        save_model(build("pooled_cnn"), MEMBER / "model.keras")
        write_record(MEMBER, provenance=test_digits.provenance)
        write_json(stages.DATA_REPORT / "summary.json", {"training_images_by_digit": [6] * 10})
        export.main()
    return folder


@pytest.fixture
def member(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The member, in a copy of its folder, which is the current one."""
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return MEMBER


def test_submission_holds_the_most_probable_digits_and_where_they_come_from(
    member: Path, test_digits: UnlabelledDigits
) -> None:
    set_params(Path.cwd(), NO_NEIGHBOURS)
    predict.main()
    probabilities = predict_probabilities(load_network(member), test_digits.images)
    written = submission.read(stages.SUBMISSION, expected_rows=20)
    np.testing.assert_array_equal(written, probabilities.argmax(axis=1))

    record = read_json(stages.SUBMISSION.with_suffix(".json"))
    assert record["sha256"] == sha256(stages.SUBMISSION)
    assert record["members"] == {member.name: sha256(member / "model.keras")}
    assert record["provenance"] == asdict(test_digits.provenance)


def test_member_trained_on_other_data_is_refused_and_the_last_submission_stays(
    member: Path, test_digits: UnlabelledDigits
) -> None:
    stages.SUBMISSION.parent.mkdir()
    stages.SUBMISSION.write_text("the last one")
    foreign = replace(test_digits.provenance, train_sha256="c" * 64)
    write_record(member, provenance=foreign)
    with pytest.raises(ArtifactError, match="0-0-small was trained on .*cccccccc.*train it again"):
        predict.main()
    assert stages.SUBMISSION.read_text() == "the last one"


def test_neighbours_of_other_data_are_refused(
    member: Path, training_digits: TrainingDigits
) -> None:
    foreign = replace(training_digits.provenance, test_sha256="c" * 64)
    dataset.save(stages.TRAIN, replace(training_digits, provenance=foreign))
    with pytest.raises(ArtifactError, match="train.npz holds .*cccccccc.* --force prepare"):
        predict.main()
    assert not stages.SUBMISSION.exists()


@pytest.mark.parametrize("name", ["member.json", "model.keras"])
def test_missing_member_is_named_and_the_last_submission_stays(member: Path, name: str) -> None:
    stages.SUBMISSION.parent.mkdir()
    stages.SUBMISSION.write_text("the last one")
    (member / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        predict.main()
    assert stages.SUBMISSION.read_text() == "the last one"


def test_low_confidence_is_refined_with_training_images(
    member: Path, training_digits: TrainingDigits, test_digits: UnlabelledDigits
) -> None:
    predict.main()
    probabilities = predict_probabilities(load_network(member), test_digits.images)
    assert probabilities.max() < 0.7
    known = training_digits.images, training_digits.labels
    expected = refine_with_neighbours(
        probabilities, test_digits.images, known, confidence_threshold=0.98, power=4
    )
    written = submission.read(stages.SUBMISSION, expected_rows=20)
    np.testing.assert_array_equal(written, expected.argmax(axis=1))
    assert (written != probabilities.argmax(axis=1)).any()


def test_what_was_used_is_recorded_though_params_change_meanwhile(
    member: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = sha256(params.FILE)
    load_exported = predict.load_exported

    def edit(names: list[str]) -> ExportedEnsemble:
        set_params(Path.cwd(), ("power: 4", "power: 7"))
        return load_exported(names)

    monkeypatch.setattr(predict, "load_exported", edit)
    predict.main()
    record = submission.read_record(stages.SUBMISSION)
    assert record is not None
    assert (record.neighbours, record.params_sha256) == (
        {"confidence_threshold": 0.98, "power": 4},
        used,
    )


def test_neighbours_count_by_their_corrected_labels_and_the_submission_says_so(
    member: Path, training_digits: TrainingDigits, test_digits: UnlabelledDigits
) -> None:
    corrected = (training_digits.labels + 3) % 10
    corrected[::7] = LEFT_OUT
    dataset.save(stages.TRAIN, replace(training_digits, corrected_labels=corrected))
    verdict = LabelVerdict(2, 0, 0, "unreadable", None)
    corrections = LabelCorrections("e" * 64, None, (verdict,))
    label_corrections.write(stages.LABEL_CORRECTIONS, corrections)
    predict.main()
    probabilities = predict_probabilities(load_network(member), test_digits.images)
    kept = corrected != LEFT_OUT
    known = training_digits.images[kept], corrected[kept]
    expected = refine_with_neighbours(
        probabilities, test_digits.images, known, confidence_threshold=0.98, power=4
    )
    written = submission.read(stages.SUBMISSION, expected_rows=20)
    np.testing.assert_array_equal(written, expected.argmax(axis=1))
    record = submission.read_record(stages.SUBMISSION)
    assert record is not None
    assert record.label_corrections == CorrectionSummary("e" * 64, 0, corrected=0, left_out=1)
    counts = pd.read_csv(stages.TEST_REPORT / "class_counts.csv")
    assert counts["training"].tolist() == [6] * 10, "labels as given"


def test_members_are_averaged(member: Path, test_digits: UnlabelledDigits) -> None:
    set_params(Path.cwd(), NO_NEIGHBOURS, ("seeds: [0]", "seeds: [0, 1]"))
    other = stages.MODELS / "0-1-small"
    keras.utils.set_random_seed(1)
    save_model(build("pooled_cnn"), other / "model.keras")
    write_record(other, seed=1, provenance=test_digits.provenance, preprocessing=[["deskew"]])
    with pytest.raises(ArtifactError, match="exported holds other networks than .* repro export"):
        predict.main()
    export.main()
    predict.main()
    with np.load(stages.TEST_REPORT / "probabilities.npz") as arrays:
        averaged = arrays["probabilities"]
    each = [
        predict_probabilities(load_network(folder), test_digits.images)
        for folder in (member, other)
    ]
    np.testing.assert_allclose(averaged, average_probabilities(each), rtol=1e-5)


def test_nothing_waits_for_imports_that_take_seconds(member: Path) -> None:
    imported = modules_after("from pipeline.stages import predict; predict.main()")
    slow = {"tensorflow", "keras", "sklearn", "seaborn", "scipy.stats"}
    assert "onnxruntime" in imported and not imported & slow


def test_test_report_counts_and_lists_what_was_predicted(member: Path) -> None:
    predict.main()
    with np.load(stages.TEST_REPORT / "probabilities.npz") as arrays:
        probabilities = arrays["probabilities"]
    counts = pd.read_csv(stages.TEST_REPORT / "class_counts.csv")
    assert (
        counts["predicted"].tolist()
        == np.bincount(probabilities.argmax(axis=1), minlength=10).tolist()
    )
    assert counts["training"].tolist() == [6] * 10
    summary = read_json(stages.TEST_REPORT / "summary.json")
    assert summary["n"] == 20 == counts["predicted"].sum()
    assert summary["neighbours_refined"] == 20
    assert 0 <= summary["p_value"] <= 1

    lowest = pd.read_csv(stages.TEST_REPORT / "low_confidence.csv")
    assert sorted(lowest["image_id"]) == list(range(1, 21))
    ranked = np.sort(probabilities[lowest["image_id"] - 1], axis=1)
    np.testing.assert_allclose(lowest["margin"], ranked[:, -1] - ranked[:, -2])
    assert lowest["margin"].is_monotonic_increasing


def test_competition_and_sample_are_told_apart() -> None:
    assert "embedded sample" in str(Provenance(True, "a" * 64, "b" * 64))
    assert "competition's data" in str(Provenance(False, "a" * 64, "b" * 64))
