import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline import params, stages
from pipeline.architectures import build
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.ensemble.averaging import average_probabilities
from pipeline.ensemble.neighbours import decide
from pipeline.errors import ArtifactError
from pipeline.files import read_json, sha256, write_json
from pipeline.networks.backend import keras
from pipeline.networks.trained import load_network, predict_probabilities, save_model
from pipeline.params import Member
from pipeline.stages import evaluate
from tests.conftest import ROOT, SMALL_NETWORK, set_params


def add_member(member: Member, data: TrainingDigits, *preprocessing: str) -> None:
    keras.utils.set_random_seed(member.seed)
    folder = stages.MODELS / member.name
    save_model(build(member.architecture), folder / "model.keras")
    conditions = {
        "data_sha256": sha256(stages.TRAIN),
        "cpu": "A processor",
        "threads": 2,
        "compute_dtype": "bfloat16",
    }
    write_json(
        folder / "member.json",
        {
            "provenance": asdict(data.provenance),
            "preprocessing": [preprocessing],
            "epochs": 1,
            "kept_epoch": 1,
            "parameters": 138_410,
            "training_seconds": 12.5,
            "conditions": conditions,
        },
    )
    row = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "stopping_loss": 0.9, "stopping_accuracy": 0.6}
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
            SMALL_NETWORK,
            ("folds: [0]", "folds: [0, 2, all]"),
            ("seeds: [0]", "seeds: [0, 1]"),
            ("pooled_cnn", "deep_cnn"),
        )
        dataset.save(stages.TRAIN, training_digits)
        for member in params.load().ensemble.members():
            add_member(member, training_digits, *["deskew"][: member.seed])
        evaluate.main()
        yield training_digits


def test_every_judged_image_was_held_back_by_its_judges_and_neighbours(
    evaluated: TrainingDigits,
) -> None:
    with np.load(stages.EVALUATION / "out_of_fold.npz") as arrays:
        rows, labels, probabilities = (arrays[k] for k in ("rows", "labels", "probabilities"))
    np.testing.assert_array_equal(rows, np.flatnonzero(evaluated.folds != 1))
    np.testing.assert_array_equal(labels, evaluated.labels[rows])
    for fold in (0, 2):
        judges = [load_network(stages.MODELS / f"{fold}-{s}-deep_cnn-plain") for s in (0, 1)]
        held_back, others = evaluated.folds == fold, evaluated.folds != fold
        images = evaluated.images[held_back]
        average = average_probabilities([predict_probabilities(judge, images) for judge in judges])
        known = evaluated.images[others], evaluated.labels[others]
        expected = decide(average, images, known, unsure_below=0.7, power=4)
        assert not np.allclose(expected, average)
        written = probabilities[evaluated.folds[rows] == fold]
        np.testing.assert_allclose(written, expected, rtol=1e-4)


def test_what_neighbours_did_is_counted(training_digits: TrainingDigits) -> None:
    labels = training_digits.labels
    right, wrong = np.eye(10)[labels], np.eye(10)[(labels + 1) % 10]
    averages, probabilities = wrong.copy(), wrong.copy()
    averages[:3], probabilities[2:8] = right[:3], right[2:8]
    judgement = evaluate.OutOfFoldPredictions(np.arange(60), averages, probabilities, {}, 1.0)
    assert evaluate.summarize_neighbours(judgement, labels) == {
        "neighbours_asked": 7,
        "neighbours_mended": 5,
        "neighbours_broke": 2,
    }


def test_neighbours_are_asked_about_all_that_untrained_networks_say(
    evaluated: TrainingDigits,
) -> None:
    assert read_json(stages.EVALUATION / "metrics.json")["neighbours_asked"] == 40


def test_tables_agree_with_the_metrics(evaluated: TrainingDigits) -> None:
    summary = read_json(stages.EVALUATION / "metrics.json")
    errors = pd.read_csv(stages.EVALUATION / "errors.csv")
    per_digit = pd.read_csv(stages.EVALUATION / "per_digit.csv")
    confusion = pd.read_csv(stages.EVALUATION / "confusion.csv")
    assert summary["n"] == 40 == len(confusion)
    assert summary["errors"] == len(errors) == per_digit["wrong"].sum()
    assert summary["errors"] == (confusion["true"] != confusion["predicted"]).sum()
    assert summary["accuracy"] == pytest.approx(1 - summary["errors"] / 40)
    assert summary["accuracy_low"] <= summary["accuracy"] <= summary["accuracy_high"]


def test_everything_that_dvc_expects_is_written(evaluated: TrainingDigits) -> None:
    written = {path.name for path in stages.EVALUATION.iterdir()}
    declared = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["evaluate"]
    outs = [*declared["outs"], *(out for metric in declared["metrics"] for out in metric)]
    assert written == {Path(out).name for out in outs}
    assert set(read_json(stages.EVALUATION / "members.json")) == {
        f"{fold}-{seed}-deep_cnn-plain" for fold in (0, 2) for seed in (0, 1)
    }
    layers = (stages.EVALUATION / "architectures/deep_cnn.md").read_text()
    assert "| block1_conv1 | Conv2D | 3×3 | 26×26×32 | 320 |" in layers


def test_each_member_is_judged_by_its_fold_alone(evaluated: TrainingDigits) -> None:
    table = pd.read_csv(stages.EVALUATION / "members.csv").set_index("member")
    assert table["n"].to_dict() == pytest.approx(
        {
            f"{fold}-{seed}-deep_cnn-plain": n
            for fold, n in ((0, 20), (2, 20), ("all", np.nan))
            for seed in (0, 1)
        },
        nan_ok=True,
    )
    network = load_network(stages.MODELS / "2-1-deep_cnn-plain")
    held_back = evaluated.folds == 2
    predicted = predict_probabilities(network, evaluated.images[held_back]).argmax(axis=1)
    wrong = (predicted != evaluated.labels[held_back]).sum()
    assert table.loc["2-1-deep_cnn-plain", "errors"] == wrong
    summary = read_json(stages.EVALUATION / "metrics.json")
    judges = table["accuracy"].dropna()
    assert summary["judges"] == 4 == len(judges)
    assert summary["member_accuracy_mean"] == pytest.approx(judges.mean())
    assert summary["member_accuracy_sd"] == pytest.approx(judges.std())
    assert summary["training_seconds"] == 6 * 12.5


def test_near_duplicates_count_across_folds_only(
    in_folder: Path, training_digits: TrainingDigits
) -> None:
    """Row 1 is like row 0, of the same fold; rows 20 and 40, of two folds, are alike."""
    images = training_digits.images.copy()
    images[1], images[40] = images[0] ^ 1, images[20] ^ 2
    data = replace(training_digits, images=images)
    judged = np.flatnonzero(data.folds == 1)
    counts = evaluate.write_near_duplicates(in_folder, data, judged, 4)
    assert counts == {"near_duplicates_across_folds": 1, "judged_near_duplicates": 1}
    table = pd.read_csv(in_folder / "near_duplicates.csv")
    assert table[["first", "second", "grey_levels"]].to_numpy().tolist() == [[0, 1, 1], [20, 40, 2]]
    assert table[["first_fold", "second_fold"]].to_numpy().tolist() == [[0, 0], [1, 2]]


def test_member_that_held_other_images_back_is_refused(evaluated: TrainingDigits) -> None:
    before = stages.TRAIN.read_bytes()
    dataset.save(stages.TRAIN, replace(evaluated, folds=evaluated.folds[::-1].copy()))
    with pytest.raises(
        ArtifactError, match="0-0-deep_cnn-plain was trained with other images or folds"
    ):
        evaluate.main()
    stages.TRAIN.write_bytes(before)
