"""What each recipe is, and how much work."""

import json

import pytest

from comparison import recipes
from comparison.recipes import asked_epochs, describe, expected_images, member_of, views_of
from comparison.references import REFERENCES
from comparison.runs import Run
from pipeline import profiles
from pipeline.params import Train


def run(network: str, recipe: str = "author", fraction: float = 1.0) -> Run:
    return Run(network, recipe, fraction, 0, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", REFERENCES)
def test_author_trains_as_long_as_the_author_did(name: str) -> None:
    reference = REFERENCES[name]
    assert asked_epochs(run(name)) == reference.epochs
    described = describe(run(name))
    assert described["epochs"] == reference.epochs
    assert described["validation_fraction"] == (0.05 if name == "deep_cnn" else 0)
    json.dumps(described)


def test_whole_recipes_are_those_that_were_published() -> None:
    epochs = {name: asked_epochs(run(name)) for name in REFERENCES}
    assert epochs["conv4_normalized"] == epochs["flat_mlp"] == epochs["deep_cnn"] == 100
    assert (epochs["regularized_cnn"], epochs["dropout_cnn"], epochs["shallow_cnn"]) == (12, 10, 12)


def test_ours_is_the_whole_default_profile() -> None:
    profile = profiles.read("default")
    train = Train.model_validate(profile["train"])
    assert recipes.read_defaults().train == train
    assert asked_epochs(run("deep_cnn", "ours")) == train.max_epochs
    (network,) = profile["networks"].values()
    views = [list(view) for view in views_of(run("deep_cnn", "ours"))]
    assert views == network["preprocessing"]
    assert len(views) > 1


def test_plain_is_ours_in_one_view() -> None:
    ours, plain = describe(run("deep_cnn", "ours")), describe(run("deep_cnn", "plain"))
    assert plain["views"] == ((),)
    assert ours | {"views": None} == plain | {"views": None}
    assert member_of(run("deep_cnn", "plain")).view_names == ["plain"]


def test_work_is_that_of_the_epochs_and_the_fraction() -> None:
    assert expected_images(run("dense_baseline"), 1_000) == 5_000
    assert expected_images(run("dense_baseline", fraction=0.25), 1_000) == 1_250
    assert expected_images(run("deep_cnn"), 1_000) == 25_000  # where patience stopped its author
    ours = expected_images(run("dense_baseline", "ours"), 1_000)
    assert 18_000 < ours < 36_000  # InfoBatch leaves images out
