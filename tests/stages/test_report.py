"""The page and the model card: right numbers, honest words, in the cases that break reports."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline import stages
from pipeline.data.dataset import Provenance, TrainingDigits, UnlabelledDigits
from pipeline.data.label_corrections import LabelCorrections, LabelVerdict
from pipeline.errors import ArtifactError
from pipeline.files import read_json, sha256, write_json
from pipeline.report import Findings
from pipeline.stages import report
from pipeline.submissions import log as submission_log
from pipeline.submissions.log import Entry
from tests.conftest import SMALL_NETWORK, replace_text, set_params
from tests.pages import Page, as_number
from tests.results import Errors, predict_with, write_evaluation, write_results

ERRORS = {4: (9, 0.99), 14: (9, 0.7), 7: (1, 0.6), 15: (3, 0.55)}
"""Two 4s, a 7 and a 5, all in fold 0."""


MakeReport = Callable[..., Page]


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[Path, Page]]:
    """Folders with results and pages by what they were made from, so that each is made once."""
    return {}


@pytest.fixture
def make_report(
    in_folder: Path,
    made: dict[str, tuple[Path, Page]],
    training_digits: TrainingDigits,
    test_digits: UnlabelledDigits,
    tmp_path_factory: pytest.TempPathFactory,
) -> MakeReport:
    """Makes the page from chosen predictions; params.yaml and the data may be changed first."""
    set_params(in_folder, SMALL_NETWORK)

    def make(
        *changes: tuple[str, str],
        data: TrainingDigits = training_digits,
        wrong: Errors = ERRORS,
        alone: Errors | None = None,
        corrections: LabelCorrections | None = None,
    ) -> Page:
        set_params(in_folder, *changes)
        key = repr((changes, data, wrong, alone, corrections))
        if key in made:
            folder, page = made[key]
            shutil.copytree(folder, in_folder, dirs_exist_ok=True)
            return page
        test = replace(test_digits, provenance=data.provenance)
        averages = None if alone is None else predict_with(data.labels, alone)
        write_results(data, test, predict_with(data.labels, wrong), averages, corrections)
        report.main()
        page = Page(stages.REPORT.read_text())
        folder = tmp_path_factory.mktemp("made") / "report"
        made[key] = shutil.copytree(in_folder, folder), page
        return page

    return make


def check_numbers(page: Page) -> set[str]:
    """Compare every number with the file that it names; give the names."""
    for place, value, text in page.numbers:
        assert value == look_up(place), place
        assert "-" not in text, place
        if text[0] in "<>":
            limit, _ = as_number(text[1:])
            assert 0 < value < limit if text[0] == "<" else limit < value < 1
        else:
            said, tolerance = as_number(text)
            assert said == pytest.approx(value, abs=tolerance * 1.001), (place, text)
    return {place[0] for place, _, _ in page.numbers}


def look_up(place: list[str]) -> float:
    """The number that stands in a file, read afresh."""
    name, *keys = place
    path = report.FILES[name]
    if path.suffix == ".json":
        value = read_json(path)
        for key in keys:
            value = value[key]
        return float(value)
    row, column = keys
    return float(pd.read_csv(path).loc[int(row), column])


@pytest.mark.parametrize(
    "changes",
    [
        [],
        [("folds: [0]", "folds: [0, 1, 2, all]"), ("seeds: [0]", "seeds: [0, 1]")],
    ],
    ids=["one network", "eight networks"],
)
def test_every_number_is_that_of_the_file_that_it_names(
    make_report: MakeReport, changes: Any
) -> None:
    page = make_report(*changes)
    assert len(page.numbers) > 200
    assert check_numbers(page) >= {
        "calibration.csv",
        "confusion_matrix.csv",
        "explanation/drift.csv",
        "explanation/slices.csv",
        "explanation/summary.json",
        "learning_curves_mean.csv",
        "members.csv",
        "metrics.json",
        "per_digit.csv",
        "test/class_counts.csv",
        "test/summary.json",
    }
    assert check_numbers(Page(stages.MAP.read_text())) == {"map/summary.json"}


def test_minus_is_a_true_one_and_zero_has_none(make_report: MakeReport) -> None:
    make_report()
    path = stages.EXPLANATION / "drift.csv"
    drift = pd.read_csv(path)
    drift.loc[drift["property"] == "slant", ["training_median", "test_median"]] = -2.128, -0.004
    drift.to_csv(path, index=False)
    counts = pd.read_csv(stages.TEST_REPORT / "class_counts.csv")
    counts["residual"] = [-1.26, -0.04, 0.04, 1.26, *[0.0] * 6]
    counts.to_csv(stages.TEST_REPORT / "class_counts.csv", index=False)
    report.main()
    page = Page(stages.REPORT.read_text())
    check_numbers(page)
    texts = {" ".join(place): text for place, _, text in page.numbers}
    assert texts["explanation/drift.csv 1 training_median"] == "−2.13"
    assert texts["explanation/drift.csv 1 test_median"] == "0.00"
    residuals = [texts[f"test/class_counts.csv {digit} residual"] for digit in range(5)]
    assert residuals == ["−1.3", "0.0", "0.0", "+1.3", "0.0"]


def test_predictions_are_those_of_the_tables(make_report: MakeReport) -> None:
    page = make_report()
    errors = pd.read_csv(stages.EVALUATION / "errors.csv")
    correct = pd.read_csv(stages.EVALUATION / "correct.csv")
    closest = pd.read_csv(stages.TEST_REPORT / "low_confidence.csv")
    suspected = pd.read_csv(stages.EVALUATION / "label_errors.csv")
    by_kind = dict(iter(page.predictions.groupby("kind", sort=False)))
    assert by_kind["error"]["row"].tolist() == [4, 14, 7, 15] == errors["row"].tolist()
    assert suspected["row"].tolist() == by_kind["suspected"]["row"].tolist()
    for kind, table in (
        ("error", errors),
        ("low_confidence", correct[correct["kind"] == "low_confidence"]),
        ("test", closest.rename(columns={"image_id": "row"})),
    ):
        shown = by_kind[kind]
        for column in {"row", "true", "predicted", "runner_up", "loss", "refined"} & set(table):
            assert shown[column].tolist() == table[column].tolist()
        expected = table[[f"p_{digit}" for digit in range(10)]].to_numpy().tolist()
        assert shown["p"].tolist() == expected


def test_images_that_an_error_was_most_like_are_those_of_the_table(
    make_report: MakeReport, training_digits: TrainingDigits
) -> None:
    page = make_report()
    nearest = pd.read_csv(stages.EXPLANATION / "nearest.csv")
    for prediction in page.predictions.itertuples():
        kind = "test" if prediction.kind == "test" else "error"
        own = nearest[(nearest["kind"] == kind) & (nearest["row"] == prediction.row)]
        shown = [known[1:] for known in prediction.nearest]
        if prediction.kind in ("error", "suspected", "contradicted", "test"):
            assert len(shown) == 3
            assert shown == own[["neighbour", "label", "distance"]].to_numpy().tolist()
        else:
            assert shown == []
    assert page.predictions.loc[page.predictions["kind"] == "error", "mapped"].all()


def test_map_has_the_points_of_the_table(make_report: MakeReport) -> None:
    make_report(("folds: [0]", "folds: [0, 1, 2]"))
    points = json.loads(Page(stages.MAP.read_text()).scripts["predictions"])["points"]
    table = pd.read_csv(stages.MAP_REPORT / "points.csv")
    for name in ("fold", "row", "x", "y", "true", "predicted"):
        assert points[name] == table[name].tolist()
    assert points["p"] == table[[f"p_{digit}" for digit in range(10)]].to_numpy().tolist()
    for places, text in zip(points["neighbours"], table["neighbours"], strict=True):
        assert [points["row"][place] for place in places] == [int(row) for row in text.split()]
    assert len(table) == 60


@pytest.mark.parametrize("folder", [stages.EXPLANATION, stages.MAP_REPORT])
def test_explanation_of_other_predictions_is_not_shown(
    make_report: MakeReport, folder: Path
) -> None:
    make_report()
    summary = read_json(folder / "summary.json")
    write_json(folder / "summary.json", summary | {"predictions_sha256": "0" * 64})
    with pytest.raises(
        ArtifactError, match=r"summary.json is about other predictions .* dvc repro"
    ):
        report.main()


def test_known_confusions_give_known_intervals(make_report: MakeReport) -> None:
    """13 of 870 nines and 8 of 753 fives overlap, and both lie above the other digits."""
    sizes = {0: 767, 5: 753, 9: 870} | dict.fromkeys((1, 2, 3, 4, 6, 7, 8), 800)
    labels = np.repeat(list(sizes), list(sizes.values())).astype(np.uint8)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
    folds = np.zeros(len(labels), np.uint8)
    folds[-1] = 1  # an 8, which the network was trained on
    data = TrainingDigits(images, labels, folds, Provenance(False, "a" * 64, "b" * 64))
    wrong = {}
    for digit, number, predicted in ((0, 1, 6), (5, 8, 3), (9, 13, 4)):
        for row in np.flatnonzero(labels == digit)[:number]:
            wrong[int(row)] = (predicted, 0.9)
    near = ("near_duplicate_grey_levels: 8", "near_duplicate_grey_levels: 0.1")
    page = make_report(near, data=data, wrong=wrong)
    shown = {tuple(place): text for place, _, text in page.numbers}
    for digit, interval in (
        (0, ("0.13%", "0.02%", "0.73%")),
        (5, ("1.06%", "0.54%", "2.08%")),
        (9, ("1.49%", "0.88%", "2.54%")),
    ):
        columns = ("error_rate", "error_rate_low", "error_rate_high")
        found = tuple(shown["per_digit.csv", str(digit), column] for column in columns)
        assert found == interval
    assert "Established: 9, 5 have a higher error rate than the other digits" in page.words
    assert page.words.count(" worse") == 2
    assert "| 9 | 13 | 857 | 1.49% | 0.88% – 2.54% | 4 (13×) |" in stages.MODEL_CARD.read_text()


def test_one_network_of_one_fold_says_what_it_cannot_know(make_report: MakeReport) -> None:
    page = make_report()
    assert "accuracy on 20 held-out images" in page.words
    assert "1 network predicts each image." in page.words
    assert "The other labelled images, of 60, were not evaluated" in page.words
    assert "so nothing is known of how much networks differ" in page.words
    assert "Only labels of evaluated images can be suspected" in page.words
    assert "a single network, mean of" not in page.words


def test_page_and_card_tell_what_neighbours_changed(make_report: MakeReport) -> None:
    """Networks alone misclassify rows 4, 5 and 7; refined, row 4 and, less surely, row 8."""
    page = make_report(
        wrong={4: (9, 0.9), 8: (3, 0.6)},
        alone={4: (9, 0.9), 5: (3, 0.6), 7: (1, 0.6)},
    )
    assert "low-confidence predictions are refined with similar images of other" in page.words
    assert (
        "3 predictions below 98 % confidence were refined with the nearest images of other folds "
        "(image distortion model, Keysers et al. 2007; tangent distance, Simard et al. 1993): "
        "2 errors corrected, 1 new." in page.words
    )
    assert "20 images were labelled by 1 network; 3 low-confidence predictions were" in page.words
    card = stages.MODEL_CARD.read_text()
    assert "Of 3 such held-out images, 2 errors were corrected and 1 is new." in card
    refined = page.predictions[page.predictions["refined"]]
    assert set(refined["row"][refined["kind"] != "test"]) == {5, 7, 8}


def test_page_and_card_are_silent_about_neighbours_that_refined_nothing(
    make_report: MakeReport,
) -> None:
    words = make_report().words
    assert "refined with similar" not in words
    assert "confidence were refined" not in words
    assert "refined" not in stages.MODEL_CARD.read_text()


def test_all_folds_and_seeds_evaluate_all_images(make_report: MakeReport) -> None:
    page = make_report(
        ("folds: [0]", "folds: [0, 1, 2, all]"),
        ("seeds: [0]", "seeds: [0, 1]"),
    )
    assert "accuracy on 60 held-out images" in page.words
    assert "2 networks, averaged, predict each image." in page.words
    assert "not evaluated;" not in page.words
    assert "a single network, mean of 6" in page.words
    assert "trained on every row: not evaluated" in page.words
    assert "labelled by 8 networks, averaged" in page.words
    card = stages.MODEL_CARD.read_text()
    assert "The score is that of 2 networks per image; 8 label the test images" in card


def test_without_errors_the_page_says_so(make_report: MakeReport) -> None:
    page = make_report(wrong={})
    assert "100.00% accuracy on 20 held-out images" in page.words
    assert "There are no errors." in page.words
    assert "There are too few errors to fit a temperature" in page.words
    assert "No label is suspected to be wrong" in page.words
    assert "highest loss;" not in page.words
    assert set(page.predictions["kind"]) == {"low_confidence", "test"}


def test_digit_that_is_missing_is_named(
    make_report: MakeReport, training_digits: TrainingDigits
) -> None:
    kept = training_digits.labels != 3
    data = replace(
        training_digits,
        images=training_digits.images[kept],
        labels=training_digits.labels[kept],
        folds=training_digits.folds[kept],
    )
    page = make_report(data=data, wrong={4: (9, 0.99), 3: (5, 0.7)})
    assert "on 18 held-out images" in page.words
    assert "3 0 0 – no image" in page.words
    assert "| 3 | 0 | 0 | – | 0.00% – 100.00% | – |" in stages.MODEL_CARD.read_text()


def test_page_that_has_no_room_for_all_errors_has_some_of_each_confusion(
    make_report: MakeReport, training_digits: TrainingDigits
) -> None:
    """Of 20 errors, 18 are of three kinds and have a higher loss than two of two other kinds."""
    labels = training_digits.labels
    wrong = {row: (9, 0.99) for row in range(60) if labels[row] in (0, 1, 2)}
    wrong |= {4: (8, 0.5), 5: (8, 0.5)}
    page = make_report(
        ("page_images: 1500", "page_images: 5"), ("folds: [0]", "folds: [0, 1, 2]"), wrong=wrong
    )
    shown = page.predictions[page.predictions["kind"] == "error"]
    assert sorted(zip(shown["true"], shown["predicted"], strict=True)) == [
        (0, 9), (1, 9), (2, 9), (4, 8), (5, 8),
    ]  # fmt: skip
    assert (np.diff(shown["loss"]) <= 0).all()
    assert len(pd.read_csv(stages.EVALUATION / "errors.csv")) == 20


@pytest.mark.parametrize("sample", [True, False])
def test_sample_is_announced_and_only_the_sample(
    make_report: MakeReport, training_digits: TrainingDigits, sample: bool
) -> None:
    data = replace(training_digits, provenance=replace(training_digits.provenance, sample=sample))
    page = make_report(data=data)
    for text in (page.words, stages.MODEL_CARD.read_text()):
        assert ("embedded sample" in text.lower()) == sample
    assert ("THIS RUN USES THE EMBEDDED SAMPLE" in page.words) == sample


def test_page_needs_no_other_file_and_names_its_pictures(make_report: MakeReport) -> None:
    page = make_report()
    others = [address for address in page.addresses if not address.startswith(("data:", "#"))]
    assert set(others) == {"map.html"}
    assert page.nameless == []
    assert sorted(page.ids) == sorted(set(page.ids))
    anchors = {address[1:] for address in page.addresses if address.startswith("#")}
    views = {anchor for anchor in anchors if "=" in anchor}
    assert views == {"true=4", "true=5", "true=7"}
    assert anchors - views <= set(page.ids)


def test_public_score_is_that_of_the_same_file(make_report: MakeReport) -> None:
    page = make_report()
    assert "not uploaded, as far as" in page.words
    log = stages.SUBMISSION.with_name("log.csv")
    ours = Entry(
        "2026-01-02T03:04:05Z", "7", "complete", "0.99567", sha256=sha256(stages.SUBMISSION)
    )
    other = replace(ours, reference="8", public_score="0.12345", sha256="f" * 64)
    submission_log.write(log, [other, ours])
    report.main()
    words = Page(stages.REPORT.read_text()).words
    assert "0.99567 public score" in words or "public score 0.99567" in words
    assert "0.12345" not in words


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0, "0.00%"),
        (1, "100.00%"),
        (0.00004, "<0.01%"),
        (0.00006, "0.01%"),
        (41_999 / 42_000, ">99.99%"),
        (0.9967857, "99.68%"),
        (None, "–"),
    ],
)
def test_one_error_in_many_does_not_look_like_none(fraction: float | None, text: str) -> None:
    assert Findings({"a": {"b": fraction}}).text("a", "b", kind="percent") == text


def test_network_that_learned_nothing_does_not_blame_the_labels(
    make_report: MakeReport, training_digits: TrainingDigits
) -> None:
    labels = training_digits.labels
    words = "says more about the networks than about the labels"
    assert words not in make_report(wrong={4: (9, 0.99)}).words
    wrong = {row: (int(label + 1) % 10, 0.99) for row, label in enumerate(labels)}
    assert words in make_report(wrong=wrong).words


def test_words_of_the_user_stay_words(make_report: MakeReport, in_folder: Path) -> None:
    page = make_report(("# Every setting", "# </script><b>&bold</b> Every setting"))
    assert "# </script><b>&bold</b> Every setting" in page.words


@pytest.mark.parametrize(
    "path",
    [
        stages.EVALUATION / "per_digit.csv",
        stages.EVALUATION / "per_digit.md",
        stages.EVALUATION / "metrics.json",
        stages.EVALUATION / "out_of_fold.npz",
        stages.EVALUATION / "figures/calibration.svg",
        stages.TEST_REPORT / "low_confidence.csv",
        stages.EXPLANATION / "slices.csv",
        stages.MAP_REPORT / "points.csv",
    ],
)
def test_missing_file_is_named(make_report: MakeReport, path: Path) -> None:
    make_report()
    before = stages.REPORT.read_bytes()
    path.unlink()
    with pytest.raises(ArtifactError, match=f"{path.name} is missing"):
        report.main()
    assert stages.REPORT.read_bytes() == before


def test_scores_of_an_interrupted_evaluation_are_not_shown(
    make_report: MakeReport, training_digits: TrainingDigits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between predictions and scores: the scores at hand are of earlier predictions."""
    make_report()
    before = stages.REPORT.read_bytes()

    def stop_at_metrics(path: Path, content: Any) -> None:
        if path.name == "metrics.json":
            raise KeyboardInterrupt
        write_json(path, content)

    monkeypatch.setattr("pipeline.stages.evaluate.write_json", stop_at_metrics)
    worse = predict_with(training_digits.labels, ERRORS | {2: (3, 0.9)})
    with pytest.raises(KeyboardInterrupt):
        write_evaluation(training_digits, worse, worse)
    assert len(pd.read_csv(stages.EVALUATION / "errors.csv")) == 5
    with pytest.raises(ArtifactError, match="scores of other predictions .* Run: dvc repro"):
        report.main()
    assert stages.REPORT.read_bytes() == before


def test_scores_of_other_networks_than_made_the_submission_are_not_shown(
    make_report: MakeReport, training_digits: TrainingDigits
) -> None:
    """The network was trained again and evaluated, but predict has not run since."""
    make_report()
    (stages.MODELS / "0-0-small/model.keras").write_text("trained again")
    good = predict_with(training_digits.labels, {})
    write_evaluation(training_digits, good, good)
    with pytest.raises(ArtifactError, match="made the submission: 0-0-small. Run: dvc repro"):
        report.main()


def test_page_and_card_say_that_labels_were_corrected(make_report: MakeReport) -> None:
    verdicts = (
        LabelVerdict(2, 4, 4, "wrong", 9),
        LabelVerdict(3, 7, 7, "right", None),
        LabelVerdict(4, 14, 4, "unreadable", None),
        LabelVerdict(5, 15, 5, "wrong", 3),
    )
    corrections = LabelCorrections("e" * 64, f"sample-{'a' * 12}", verdicts)
    page = make_report(corrections=corrections)
    assert (
        "The networks trained on corrected labels: 2 corrected, 1 row left out (labels.csv "
        "eeeeeeeeeeee). All scores are against the labels as given." in page.words
    )
    assert "1 found right, 2 corrected, 1 left out" in page.words
    counts = {place[2]: value for place, value, _ in page.numbers if "label_corrections" in place}
    assert counts == {"right": 1, "corrected": 2, "left_out": 1}
    assert "2 labels corrected, 1 row left out. All scores" in stages.MODEL_CARD.read_text()
    content = json.loads(page.scripts["labels-given"])
    assert content == {
        "data": f"sample-{'a' * 12}",
        "sha256": "e" * 64,
        "verdicts": [
            [4, 4, "wrong", 9],
            [7, 7, "right", None],
            [14, 4, "unreadable", None],
            [15, 5, "wrong", 3],
        ],
    }
    for path in (stages.EVALUATION / "metrics.json", stages.SUBMISSION.with_suffix(".json")):
        assert read_json(path)["label_corrections"] == asdict(corrections.summarize())


def test_without_corrections_nothing_is_said_of_them(make_report: MakeReport) -> None:
    page = make_report()
    assert "corrected labels:" not in page.words
    assert "corrected" not in stages.MODEL_CARD.read_text()


def test_model_card_has_the_standard_headings(make_report: MakeReport) -> None:
    make_report()
    headings = re.findall("^## (.*)", stages.MODEL_CARD.read_text(), re.MULTILINE)
    assert headings == [
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Evaluation data",
        "Training data",
        "Quantitative analyses",
        "Ethical considerations",
        "Caveats and recommendations",
    ]


def test_words_agree_with_their_numbers(make_report: MakeReport) -> None:
    page = make_report(wrong={4: (9, 0.99)})
    card = stages.MODEL_CARD.read_text()
    for words in (page.words, " ".join(card.split())):
        assert not re.search(
            r"(?<![\d.,])1 (errors|images|networks|labels|pairs|threads|rows|epochs)\b", words
        )
    assert re.search(r"error ?1 ?log loss", page.words)


def test_networks_have_their_short_names_and_scores_the_names_of_people(
    make_report: MakeReport,
) -> None:
    page = make_report()
    card = stages.MODEL_CARD.read_text()
    assert "1 network (small); code" in page.words
    assert "1 neural network (`small`, architecture `pooled_cnn`)" in card
    assert "| macro F1 |" in card
    assert "macro F1" in page.words


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("metrics.json", '"errors": 4', '"errors": "4"'),
        ("metrics.json", '"scores": {', '"scored": {'),
        ("run.json", '"keras"', '"kreas"'),
        ("explanation/summary.json", '"slices":', '"slice":'),
        ("map/summary.json", '"member"', '"of"'),
        ("data/summary.json", '"training_images":', '"images":'),
        ("submission.json", '"rows": 20', '"rows": "20"'),
        ("test/summary.json", '"p_value"', '"p"'),
        ("errors.csv", "label_suspected", "suspected"),
        ("map/points.csv", "neighbours", "nearest"),
    ],
)
def test_file_of_another_form_is_damage(
    make_report: MakeReport, name: str, old: str, new: str
) -> None:
    make_report()
    path = report.FILES[name]
    replace_text(path, (old, new))
    with pytest.raises(ArtifactError, match=rf"^{path} is damaged: .* run: dvc repro$"):
        report.main()


def test_score_that_the_page_lacks_is_told(make_report: MakeReport) -> None:
    make_report()
    replace_text(report.FILES["metrics.json"], ('"log_loss"', '"loss"'))
    with pytest.raises(ArtifactError, match="cannot be written: metrics.json has no log_loss"):
        report.main()
