from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import label_corrections
from pipeline.data.dataset import LEFT_OUT, TrainingDigits
from pipeline.data.label_corrections import CorrectionSummary, LabelCorrections, LabelVerdict
from pipeline.errors import ArtifactError, TableError

PATH = Path("data/labels.csv")
VERDICTS = (
    LabelVerdict(2, 4, 4, "wrong", 9),
    LabelVerdict(3, 14, 4, "right", None),
    LabelVerdict(4, 5, 5, "unreadable", None),
)
CORRECTIONS = LabelCorrections("e" * 64, f"sample-{'a' * 12}", VERDICTS)


def check(data: TrainingDigits, corrections: LabelCorrections) -> None:
    label_corrections.check(PATH, corrections, data.labels, data.provenance)


def test_corrections_change_only_what_they_name(training_digits: TrainingDigits) -> None:
    check(training_digits, CORRECTIONS)
    labels = training_digits.labels
    corrected = label_corrections.apply(CORRECTIONS, labels)
    assert corrected is not None
    assert np.flatnonzero(corrected != labels).tolist() == [4, 5]
    assert corrected[[4, 5]].tolist() == [9, LEFT_OUT]
    assert labels[[4, 5]].tolist() == [4, 5], "the labels as given stay"


def test_verdicts_that_all_say_right_change_nothing(training_digits: TrainingDigits) -> None:
    right = replace(CORRECTIONS, verdicts=VERDICTS[1:2])
    assert label_corrections.apply(right, training_digits.labels) is None
    assert label_corrections.apply(None, training_digits.labels) is None


def test_summary_counts_by_verdict() -> None:
    summary = CORRECTIONS.summarize()
    assert summary == CorrectionSummary("e" * 64, right=1, corrected=1, left_out=1)
    assert str(summary) == "1 label corrected, 1 row left out"
    assert str(replace(summary, corrected=2, left_out=0)) == "2 labels corrected, 0 rows left out"


@pytest.mark.parametrize("data", ["competition-bbbbbbbbbbbb", "sample-bbbbbbbbbbbb"])
def test_corrections_of_other_data_are_refused(data: str, training_digits: TrainingDigits) -> None:
    expected = f"labels.csv is of other data: expected sample-{'a' * 12}, .*, found {data}"
    with pytest.raises(TableError, match=expected):
        check(training_digits, replace(CORRECTIONS, data=data))


def test_kind_of_data_is_known_before_the_data_is_read() -> None:
    label_corrections.check_kind(PATH, CORRECTIONS, sample=True)
    label_corrections.check_kind(PATH, replace(CORRECTIONS, data=None), sample=False)
    with pytest.raises(TableError, match="expected competition, .* found sample-aaaa"):
        label_corrections.check_kind(PATH, CORRECTIONS, sample=False)


@pytest.mark.parametrize(
    ("row", "label", "problem"),
    [
        (60, 0, r"line 7: there is no row 60 in train\.csv of sample-a+: expected 0 to 59"),
        (14, 5, r"line 7: row 14 has the label 4 in train\.csv of sample-a+, found 5"),
    ],
)
def test_rows_and_labels_must_be_those_of_the_data(
    row: int, label: int, problem: str, training_digits: TrainingDigits
) -> None:
    wrong = LabelVerdict(7, row, label, "right", None)
    for data in (CORRECTIONS.data, None):
        with pytest.raises(TableError, match=problem):
            check(training_digits, LabelCorrections("e" * 64, data, (*VERDICTS[:1], wrong)))


def test_digits_without_rows_to_train_on_are_refused(training_digits: TrainingDigits) -> None:
    def leave_out(digits: set[int]) -> LabelCorrections:
        given = enumerate(training_digits.labels.tolist())
        verdicts = [
            LabelVerdict(row + 2, row, digit, "unreadable", None)
            for row, digit in given
            if digit in digits
        ]
        return LabelCorrections("e" * 64, None, tuple(verdicts))

    with pytest.raises(TableError, match="leaves no row of the digits 3, 8 to train on: expected"):
        check(training_digits, leave_out({3, 8}))
    with pytest.raises(TableError, match="0, 1, 2, 3, 4, 5, 6, 7, 8, 9 .*, 60 rows left out"):
        check(training_digits, leave_out(set(range(10))))


@pytest.mark.parametrize("corrections", [CORRECTIONS, None])
def test_record_comes_back(corrections: LabelCorrections | None, tmp_path: Path) -> None:
    path = tmp_path / "label_corrections.json"
    label_corrections.write(path, corrections)
    assert label_corrections.read(path) == corrections


@pytest.mark.parametrize("content", ["[]", "{}", '{"sha256": "e", "data": null, "verdicts": [1]}'])
def test_damaged_record_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "label_corrections.json"
    path.write_text(content)
    with pytest.raises(ArtifactError, match=r"label_corrections\.json is damaged: .* dvc repro$"):
        label_corrections.read(path)
