from pathlib import Path

import pytest

from comparison import settings
from comparison.references import REFERENCES
from pipeline import stages
from pipeline.architectures import ARCHITECTURES
from pipeline.data import label_corrections
from pipeline.data.label_corrections import LabelCorrections, LabelVerdict
from pipeline.errors import ArtifactError, ParamsError
from tests.conftest import ROOT

TEXT = (settings.FOLDER / "params.yaml").read_text(encoding="utf-8")


def test_listed_architectures_can_be_built_and_every_reference_is_listed() -> None:
    listed = settings.load().architectures
    assert set(REFERENCES) <= set(listed) <= set(ARCHITECTURES)
    assert len(set(listed)) == len(listed)


def test_baseline_is_moved_as_well() -> None:
    chosen = settings.load()
    assert chosen.baseline in chosen.robustness.architectures


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("folds: [0]", "folds: [-1]", "folds: expected numbers of folds, 0 or more, found -1"),
        ("folds: [0]", "folds: [1, 1]", "folds: expected each value once, found 1 twice"),
        ("one_seed_from_minutes:", "minutes:", "one_seed_from_minutes: missing"),
        (
            "fractions: [0.25, 0.5, 1]",
            "fractions: [0.25, 0.5]",
            "fractions: expected numbers above 0 up to 1, and 1 itself .*, found 0.25, 0.5",
        ),
        (
            "fractions: [0.25, 0.5, 1]",
            "fractions: [1, 2]",
            "fractions: expected numbers above 0 up to 1, .*, found 1, 2",
        ),
        (
            "seeds: [0, 1, 2]",
            "seeds: []",
            "seeds: expected at least one entry, found an empty list",
        ),
        ("folds: [0]", "folds: [", "is not valid YAML"),
        (
            "baseline: pooled_cnn",
            "baseline: other",
            "baseline: expected a name that architectures lists, found 'other'",
        ),
        (
            "architectures: [dense_baseline,",
            "architectures: [other,",
            "robustness.architectures: expected names that .* lists as well, found other",
        ),
    ],
)
def test_mistake_in_the_file_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in TEXT
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(ParamsError, match=message):
        settings.load(path)


def test_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="Run the command in the project's folder"):
        settings.load(tmp_path / "params.yaml")


@pytest.mark.usefixtures("in_folder")
def test_corrected_labels_are_refused() -> None:
    path = ROOT / "comparison/params.yaml"
    verdicts = LabelVerdict(2, 4, 4, "right", None), LabelVerdict(3, 5, 5, "unreadable", None)
    for some in ((), verdicts[:1]):
        corrections = LabelCorrections("e" * 64, None, some)
        label_corrections.write(stages.LABEL_CORRECTIONS, corrections)
        settings.load(path)
    label_corrections.write(stages.LABEL_CORRECTIONS, LabelCorrections("e" * 64, None, verdicts))
    with pytest.raises(ArtifactError, match="0 labels corrected, 1 row left out. Move the file"):
        settings.load(path)
