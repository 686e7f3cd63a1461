"""The map's places: one network per fold, the first, and the images that it holds out."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from sklearn.metrics import pairwise_distances

from pipeline import params, stages
from pipeline.architectures import build
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.errors import ArtifactError
from pipeline.evaluation.predictions import OutOfFoldPredictions
from pipeline.files import read_json, sha256
from pipeline.networks.backend import keras
from pipeline.networks.features import last_hidden_features
from pipeline.networks.trained import load_network, save_model
from pipeline.stages import embed
from tests.conftest import ROOT, SMALL_NETWORK, set_params
from tests.members import write_record
from tests.results import describe_member, predict_with

ERRORS = {4: (9, 0.99), 45: (3, 0.55)}
FIRST = ["0-0-small", "2-0-small"]


@pytest.fixture(scope="module")
def embedded(
    training_digits: TrainingDigits, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TrainingDigits]:
    """Untrained networks of folds 0 and 2, two of each, and the maps by them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("embedded"))
        shutil.copy(ROOT / "params.yaml", "params.yaml")
        set_params(
            Path.cwd(),
            SMALL_NETWORK,
            ("folds: [0]", "folds: [0, 2, all]"),
            ("seeds: [0]", "seeds: [0, 1]"),
        )
        data = training_digits
        dataset.save(stages.TRAIN, data)
        members = params.load().evaluated_members()
        for place, member in enumerate(members):
            keras.utils.set_random_seed(place)
            folder = stages.MODELS / member.name
            save_model(build(member.architecture), folder / "model.keras")
            write_record(folder, **describe_member(member, data))
        write_predictions(data)
        embed.embed_images(params.load())
        yield data


def write_predictions(data: TrainingDigits) -> None:
    rows = np.flatnonzero(np.isin(data.folds, [0, 2]))
    probabilities = predict_with(data.labels, ERRORS)[rows]
    members = [member.name for member in params.load().evaluated_members()]
    hashes = {name: sha256(stages.MODELS / name / "model.keras") for name in members}
    OutOfFoldPredictions(
        rows, data.labels[rows], probabilities, probabilities, hashes, "a" * 64
    ).save(stages.EVALUATION / "out_of_fold.npz")


def points() -> pd.DataFrame:
    return pd.read_csv(stages.MAP_REPORT / "points.csv")


def test_each_fold_has_the_images_that_it_holds_out(embedded: TrainingDigits) -> None:
    table = points()
    assert set(table["fold"]) == {0, 2}
    assert (embedded.folds[table["row"]] == table["fold"]).all()
    assert (embedded.labels[table["row"]] == table["true"]).all()
    assert sorted(table["row"]) == np.flatnonzero(np.isin(embedded.folds, [0, 2])).tolist()
    wrong = table[table["true"] != table["predicted"]]
    assert dict(zip(wrong["row"], wrong["predicted"], strict=True)) == {4: 9, 45: 3}
    for _, own in table.groupby("fold"):
        assert own.iloc[-1]["true"] != own.iloc[-1]["predicted"], "errors are drawn on top"


@pytest.mark.parametrize("fold", [0, 2])
def test_neighbours_are_near_in_the_features_of_the_first_network(
    embedded: TrainingDigits, fold: int
) -> None:
    own = points()[lambda table: table["fold"] == fold]
    rows = own["row"].to_numpy()
    network = load_network(stages.MODELS / f"{fold}-0-small")
    features = last_hidden_features(network, embedded.images[rows])
    distances = pairwise_distances(features.astype(np.float64))
    np.fill_diagonal(distances, np.inf)
    for text, measured in zip(own["neighbours"], distances, strict=True):
        found = [int(row) for row in text.split()]
        nearest = np.sort(measured)[: embed.NEIGHBOURS]
        places = [int(np.flatnonzero(rows == row)[0]) for row in found]
        np.testing.assert_allclose(measured[places], nearest, rtol=1e-3)


def test_summary_tells_whose_features_and_how_many(embedded: TrainingDigits) -> None:
    summary = read_json(stages.MAP_REPORT / "summary.json")
    assert [about["member"] for about in summary["folds"].values()] == FIRST
    assert summary["n"] == 40 == sum(about["n"] for about in summary["folds"].values())
    assert [about["errors"] for about in summary["folds"].values()] == [1, 1]
    assert summary["predictions_sha256"] == sha256(stages.EVALUATION / "out_of_fold.npz")


def test_stage_gives_equal_bytes_again(embedded: TrainingDigits) -> None:
    before = {path.name: path.read_bytes() for path in stages.MAP_REPORT.iterdir()}
    embed.embed_images(params.load())
    assert {path.name: path.read_bytes() for path in stages.MAP_REPORT.iterdir()} == before
    declared = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["embed"]
    assert declared["outs"] == [str(stages.MAP_REPORT)]


def test_other_network_than_was_evaluated_is_refused(embedded: TrainingDigits) -> None:
    path = stages.MODELS / "2-0-small/model.keras"
    content, before = path.read_bytes(), points()
    save_model(build("pooled_cnn"), path)
    with pytest.raises(ArtifactError, match=r"2-0-small/model.keras is another network"):
        embed.embed_images(params.load())
    path.unlink()
    with pytest.raises(ArtifactError, match=r"2-0-small/model.keras is another network"):
        embed.embed_images(params.load())
    path.write_bytes(content)
    pd.testing.assert_frame_equal(points(), before)
