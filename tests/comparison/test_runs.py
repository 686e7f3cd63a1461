"""Which runs there are, and which come first."""

from typing import Any

import pytest

from comparison import settings
from comparison.references import REFERENCES
from comparison.runs import Run, Selection, list_runs
from comparison.settings import Settings
from pipeline.errors import ParamsError
from tests.conftest import ROOT

MINUTES = {"dense_baseline": 1.0, "conv4_normalized": 40.0, "pooled_cnn": 5.0}


def choose(**changes: Any) -> Settings:
    content = settings.load(ROOT / settings.FOLDER / "params.yaml").model_dump()
    small = {
        "architectures": list(MINUTES),
        "robustness": content["robustness"] | {"architectures": ["pooled_cnn"]},
    }
    return Settings.model_validate(content | small | changes)


def listed(chosen: Settings, **selection: Any) -> list[Run]:
    return list_runs(chosen, Selection(**selection), lambda run: MINUTES[run.network])


def test_claims_come_first_then_fractions_then_plain_view_then_other_seeds() -> None:
    names = [run.name for run in listed(choose(seeds=[0, 1]))]
    assert names[:5] == [
        "dense_baseline-author-1-0-0",
        "dense_baseline-ours-1-0-0",
        "pooled_cnn-ours-1-0-0",
        "conv4_normalized-author-1-0-0",
        "conv4_normalized-ours-1-0-0",
    ]
    assert names[5:9] == [
        "dense_baseline-author-0.25-0-0",
        "dense_baseline-author-0.5-0-0",
        "conv4_normalized-author-0.25-0-0",
        "conv4_normalized-author-0.5-0-0",
    ]
    assert {name.split("-")[1] for name in names[9:12]} == {"plain"}
    assert all(name.endswith("-1") for name in names[12:])
    assert len(set(names)) == len(names)


def test_long_runs_have_one_seed_and_short_ones_all() -> None:
    runs = listed(choose(seeds=[0, 1, 2]))
    assert {run.seed for run in runs if run.network == "conv4_normalized"} == {0}
    assert {run.seed for run in runs if run.network == "dense_baseline"} == {0, 1, 2}


def test_network_without_an_author_has_our_recipes_alone() -> None:
    assert "pooled_cnn" not in REFERENCES
    runs = listed(choose(), networks=["pooled_cnn"])
    assert {(run.recipe, run.fraction) for run in runs} == {("ours", 1), ("plain", 1)}


def test_selection_may_go_beyond_the_settings() -> None:
    runs = listed(
        choose(), networks=["conv4_normalized"], recipes=["author"], folds=[3], seeds=[7, 8]
    )
    assert {(run.fold, run.seed) for run in runs} == {(3, 7), (3, 8)}
    assert {run.fraction for run in runs} == {0.25, 0.5, 1}


def test_further_folds_have_one_seed() -> None:
    runs = listed(choose(folds=[0, 1], seeds=[0, 1]), networks=["dense_baseline"])
    assert {(run.fold, run.seed) for run in runs} == {(0, 0), (0, 1), (1, 0)}


def test_mistyped_network_is_named() -> None:
    with pytest.raises(ParamsError, match="no network dense_base: expected names .* pooled_cnn"):
        listed(choose(), networks=["dense_base"])


@pytest.mark.parametrize(
    "selection",
    [
        {"networks": ["pooled_cnn"], "recipes": ["author"]},
        {"recipes": ["ours"], "fractions": [0.5]},
    ],
)
def test_selection_that_leaves_nothing_is_explained(selection: dict[str, Any]) -> None:
    with pytest.raises(ParamsError, match="No run is as you selected"):
        listed(choose(), **selection)
