import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline import params, stages
from pipeline.architectures import build
from pipeline.data import dataset, label_corrections
from pipeline.data.dataset import LEFT_OUT, TrainingDigits
from pipeline.ensemble.averaging import average_probabilities, predict_probabilities
from pipeline.ensemble.neighbours import refine_with_neighbours
from pipeline.errors import ArtifactError
from pipeline.evaluation import predictions
from pipeline.files import read_json, sha256
from pipeline.networks.backend import keras
from pipeline.networks.trained import load_network, save_model
from pipeline.params import Member
from pipeline.stages import evaluate
from tests.conftest import LISTED_NETWORK, ROOT, list_networks, set_params
from tests.members import RECORD, write_record
from tests.results import describe_member

EVALUATED = [f"{fold}-{seed}-deskewed" for fold in (0, 2) for seed in (0, 1)]


def add_member(member: Member, data: TrainingDigits) -> None:
    keras.utils.set_random_seed(member.seed)
    folder = stages.MODELS / member.name
    save_model(build(member.architecture), folder / "model.keras")
    conditions = replace(RECORD.conditions, data_sha256=sha256(stages.TRAIN))
    write_record(folder, **describe_member(member, data), conditions=conditions)
    row = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 0.9, "val_accuracy": 0.6}
    pd.DataFrame([row]).to_csv(folder / "history.csv", index=False)


@pytest.fixture(scope="module")
def evaluated(
    training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrainingDigits]:
    """Evaluated with two members of fold 0 and two of fold 2; those of all rows must not count."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("evaluated"))
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        set_params(
            Path.cwd(),
            (LISTED_NETWORK, list_networks(deskewed="deep_cnn, [[deskew]]")),
            ("folds: [0]", "folds: [0, 2, all]"),
            ("seeds: [0]", "seeds: [0, 1]"),
        )
        dataset.save(stages.TRAIN, training_digits)
        label_corrections.write(stages.LABEL_CORRECTIONS, None)
        for member in params.load().members():
            add_member(member, training_digits)
        evaluate.evaluate_members(params.load())
        yield training_digits


def test_an_image_is_predicted_by_members_and_neighbours_that_do_not_know_it(
    evaluated: TrainingDigits,
) -> None:
    found = predictions.load(stages.EVALUATION / "out_of_fold.npz")
    np.testing.assert_array_equal(found.rows, np.flatnonzero(np.isin(evaluated.folds, [0, 2])))
    for fold in (0, 2):
        held_out = evaluated.folds == fold
        images = evaluated.images[held_out]
        each = [
            predict_probabilities(load_network(stages.MODELS / f"{fold}-{seed}-deskewed"), images)
            for seed in (0, 1)
        ]
        average = average_probabilities(each)
        known = evaluated.images[~held_out], evaluated.labels[~held_out]
        expected = refine_with_neighbours(
            average, images, known, confidence_threshold=0.98, power=4
        )
        assert not np.allclose(expected, average)
        own = evaluated.folds[found.rows] == fold
        np.testing.assert_allclose(found.averages[own], average, rtol=1e-4)
        np.testing.assert_allclose(found.probabilities[own], expected, rtol=1e-4)


def test_neighbours_count_by_their_corrected_labels_and_scores_by_those_given(
    evaluated: TrainingDigits,
) -> None:
    corrected = (evaluated.labels + 1) % 10
    corrected[20:30] = LEFT_OUT
    data = replace(evaluated, corrected_labels=corrected.astype(np.uint8))
    members = [each for each in params.load().evaluated_members() if each.name == EVALUATED[0]]
    settings = params.load().neighbours
    found, scores = evaluate.predict_out_of_fold(members, data, settings)
    without, scores_without = evaluate.predict_out_of_fold(members, evaluated, settings)
    np.testing.assert_array_equal(found.labels, evaluated.labels[evaluated.folds == 0])
    np.testing.assert_array_equal(found.averages, without.averages)
    assert scores == scores_without
    known = evaluated.images[30:], corrected[30:]
    expected = refine_with_neighbours(
        found.averages, evaluated.images[:20], known, **settings.model_dump()
    )
    np.testing.assert_allclose(found.probabilities, expected)
    assert not np.allclose(found.probabilities, without.probabilities)


def test_tables_agree_with_the_metrics(evaluated: TrainingDigits) -> None:
    summary = read_json(stages.EVALUATION / "metrics.json")
    errors = pd.read_csv(stages.EVALUATION / "errors.csv")
    per_digit = pd.read_csv(stages.EVALUATION / "per_digit.csv")
    confusion = pd.read_csv(stages.EVALUATION / "confusion.csv")
    assert summary["n"] == 40 == len(confusion)
    assert summary["errors"] == len(errors) == per_digit["errors"].sum()
    assert summary["errors"] == (confusion["true"] != confusion["predicted"]).sum()
    assert summary["accuracy"] == pytest.approx(1 - summary["errors"] / 40)
    assert summary["accuracy_low"] <= summary["accuracy"] <= summary["accuracy_high"]
    assert summary["neighbours_refined"] == 40, "untrained networks have low confidence"
    suspected = pd.read_csv(stages.EVALUATION / "label_errors.csv")["row"]
    assert set(errors.loc[errors["label_suspected"], "row"]) == set(suspected)


def test_everything_that_dvc_expects_is_written(evaluated: TrainingDigits) -> None:
    written = {path.name for path in stages.EVALUATION.iterdir()}
    declared = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["evaluate"]
    outs = [*declared["outs"], *(out for metric in declared["metrics"] for out in metric)]
    assert written == {Path(out).name for out in outs}
    layers = (stages.EVALUATION / "architectures/deep_cnn.md").read_text()
    assert "| block1_conv1 | Conv2D | 3×3 | 26×26×32 | 320 |" in layers


def test_scores_name_the_networks_and_the_predictions_that_they_are_of(
    evaluated: TrainingDigits,
) -> None:
    summary = read_json(stages.EVALUATION / "metrics.json")
    digests = {name: sha256(stages.MODELS / name / "model.keras") for name in EVALUATED}
    assert dict(summary["members"]) == digests
    path = stages.EVALUATION / "out_of_fold.npz"
    assert summary["predictions"] == [["out_of_fold.npz", sha256(path)]]
    assert summary["neighbours"] == [["confidence_threshold", 0.98], ["power", 4]]
    assert predictions.load(path).members == digests


def test_each_member_is_evaluated_on_its_fold_alone(evaluated: TrainingDigits) -> None:
    table = pd.read_csv(stages.EVALUATION / "members.csv").set_index("member")
    assert table["n"].to_dict() == pytest.approx(
        {
            f"{fold}-{seed}-deskewed": n
            for fold, n in ((0, 20), (2, 20), ("all", np.nan))
            for seed in (0, 1)
        },
        nan_ok=True,
    )
    assert set(table["network"]) == {"deskewed"}
    assert set(table["architecture"]) == {"deep_cnn"}
    assert set(table["views"]) == {"deskew"}
    network = load_network(stages.MODELS / "2-1-deskewed")
    own = evaluated.folds == 2
    correct = predict_probabilities(network, evaluated.images).argmax(axis=1) == evaluated.labels
    assert table.loc["2-1-deskewed", "errors"] == (~correct[own]).sum()
    assert table.loc["2-1-deskewed", "train_accuracy"] == correct[~own][:20].mean()
    summary = read_json(stages.EVALUATION / "metrics.json")
    accuracies = table["accuracy"].dropna()
    assert summary["evaluated_members"] == 4 == len(accuracies)
    assert summary["members_per_image"] == 2
    assert summary["member_accuracy_mean"] == pytest.approx(accuracies.mean())
    assert summary["member_accuracy_sd"] == pytest.approx(accuracies.std())
    assert summary["train_accuracy"] == pytest.approx(table["train_accuracy"].mean())
    assert summary["training_seconds"] == 6 * 12.5


def test_member_that_held_out_other_images_is_refused(evaluated: TrainingDigits) -> None:
    before = stages.TRAIN.read_bytes()
    dataset.save(stages.TRAIN, replace(evaluated, folds=evaluated.folds[::-1].copy()))
    with pytest.raises(ArtifactError, match="0-0-deskewed was trained with other images, labels"):
        evaluate.evaluate_members(params.load())
    stages.TRAIN.write_bytes(before)
