"""What the errors were most like: never images that their fold holds out."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from pipeline import params, stages
from pipeline.data.dataset import TrainingDigits, UnlabelledDigits
from pipeline.ensemble.distances import measure_distortion
from pipeline.errors import ArtifactError
from pipeline.evaluation import predictions
from pipeline.evaluation.image_properties import measure_properties
from pipeline.files import read_json, sha256
from pipeline.stages import explain
from tests.conftest import PARAMS, ROOT
from tests.results import predict_with, write_results

ERRORS = {4: (9, 0.99), 24: (9, 0.7), 45: (3, 0.55)}
"""One in each fold."""


@pytest.fixture(scope="module")
def explained(
    training_digits: TrainingDigits,
    test_digits: UnlabelledDigits,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[TrainingDigits]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("explained"))
        text = PARAMS.replace("folds: [0]", "folds: [0, 1, 2]")
        Path("params.yaml").write_text(text, encoding="utf-8")
        write_results(training_digits, test_digits, predict_with(training_digits.labels, ERRORS))
        yield training_digits


def nearest() -> pd.DataFrame:
    return pd.read_csv(stages.EXPLANATION / "nearest.csv")


def test_an_error_is_compared_with_the_images_of_other_folds(explained: TrainingDigits) -> None:
    errors = nearest()[lambda table: table["kind"] == "error"]
    assert errors["row"].unique().tolist() == list(ERRORS)
    for row, own in errors.groupby("row"):
        others = np.flatnonzero(explained.folds != explained.folds[row])
        distances = measure_distortion(explained.images[row], explained.images[others])
        order = np.argsort(distances, kind="stable")[:3]
        assert own["rank"].tolist() == [1, 2, 3]
        assert own["neighbour"].tolist() == others[order].tolist()
        assert own["label"].tolist() == explained.labels[others[order]].tolist()
        np.testing.assert_allclose(own["distance"], distances[order], rtol=1e-6)


def test_a_test_image_is_compared_with_all(explained: TrainingDigits) -> None:
    """The test images are the first training images."""
    test = nearest()[lambda table: table["kind"] == "test"]
    shown = pd.read_csv(stages.TEST_REPORT / "low_confidence.csv")["image_id"]
    assert set(test["row"]) == set(shown)
    first = test[test["rank"] == 1]
    assert (first["neighbour"] == first["row"] - 1).all()
    assert (first["distance"] == 0).all()


def test_slices_are_of_the_judged_images_and_drift_of_all(explained: TrainingDigits) -> None:
    slices = pd.read_csv(stages.EXPLANATION / "slices.csv")
    slants = slices[(slices["first"] == "slant") & slices["second"].isna()]
    assert slants["n"].sum() == 60
    assert slants["errors"].sum() == 3
    drift = pd.read_csv(stages.EXPLANATION / "drift.csv").set_index("property")
    ink = measure_properties(explained.images)["ink"]
    assert drift.loc["ink", "training_median"] == pytest.approx(ink.median())
    assert drift.loc["ink", "test_median"] == pytest.approx(ink[:20].median())


def test_summary_counts_and_names_the_predictions(explained: TrainingDigits) -> None:
    summary = read_json(stages.EXPLANATION / "summary.json")
    slices = pd.read_csv(stages.EXPLANATION / "slices.csv")
    drift = pd.read_csv(stages.EXPLANATION / "drift.csv")
    assert summary == {
        "slices": len(slices),
        "slices_worse": slices["worse"].sum(),
        "properties": 4,
        "properties_drifted": (drift["verdict"] == "drift").sum(),
        "predictions_sha256": sha256(stages.EVALUATION / "out_of_fold.npz"),
    }


def test_stage_writes_what_dvc_expects_again_and_alike(
    explained: TrainingDigits, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in stages.EXPLANATION.iterdir()}
    explain.main()
    assert "slices have a higher error rate" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in stages.EXPLANATION.iterdir()} == before
    declared = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["explain"]
    assert declared["outs"] == [str(stages.EXPLANATION)]


def test_without_errors_there_are_only_test_images(
    explained: TrainingDigits,
    test_digits: UnlabelledDigits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = Path("params.yaml").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(text, encoding="utf-8")
    write_results(explained, test_digits, predict_with(explained.labels, {}))
    assert set(nearest()["kind"]) == {"test"}


def test_missing_file_is_named_and_nothing_lost(explained: TrainingDigits) -> None:
    path = stages.EVALUATION / "errors.csv"
    content, before = path.read_bytes(), nearest()
    path.unlink()
    with pytest.raises(ArtifactError, match=r"errors\.csv is missing"):
        explain.explain(stages.EXPLANATION, params.load())
    path.write_bytes(content)
    pd.testing.assert_frame_equal(nearest(), before)
    assert len(predictions.load(stages.EVALUATION / "out_of_fold.npz").rows) == 60
