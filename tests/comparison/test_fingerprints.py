"""What makes a row stale, and what does not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from comparison import fingerprints
from comparison.fingerprints import Fingerprints, fingerprint, hash_code, hash_data
from comparison.references import REFERENCES
from comparison.runs import Run
from pipeline.data.dataset import TrainingDigits

AUTHOR = Run("deep_cnn", "author", 1.0, 0, 0)

CODE = '''
"""What it does."""
import math


class Thing:
    """A thing."""

    size: int
    """Of it."""

    def double(self, x: int) -> str:
        """Twice ``x``."""
        return f"{2 * x} {', '.join('ab')}"  # twice
'''


@pytest.mark.parametrize(
    "change",
    [
        ("What it does", "What else"),
        ("  # twice", ""),
        ("\n\n\n", "\n"),
        ('"""Of it."""', '""""""'),
    ],
)
def test_words_about_the_code_do_not_count(change: tuple[str, str], tmp_path: Path) -> None:
    before, after = tmp_path / "before.py", tmp_path / "after.py"
    before.write_text(CODE)
    after.write_text(CODE.replace(*change))
    assert after.read_text() != CODE
    assert hash_code(after) == hash_code(before)


@pytest.mark.parametrize("change", [("2 * x", "3 * x"), ("math", "sys"), ("'ab'", "'ac'")])
def test_what_the_code_does_counts(change: tuple[str, str], tmp_path: Path) -> None:
    before, after = tmp_path / "before.py", tmp_path / "after.py"
    before.write_text(CODE)
    after.write_text(CODE.replace(*change))
    assert hash_code(after) != hash_code(before)


def test_hash_is_the_same_in_every_python(tmp_path: Path) -> None:
    """It was computed by Python 3.11, 3.12 and 3.13, whose syntax trees differ in form."""
    path = tmp_path / "code.py"
    path.write_text(CODE)
    assert hash_code(path) == "5cd53a421c15"


def test_architecture_counts_with_what_it_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    shallow = replace(AUTHOR, network="shallow_cnn")
    before = fingerprint(AUTHOR, "d").network_code, fingerprint(shallow, "d").network_code

    def changed(path: Path) -> str:
        return "other" if path.name == "_blocks.py" else hash_code(path)

    monkeypatch.setattr(fingerprints, "hash_code", changed)
    after = fingerprint(AUTHOR, "d").network_code, fingerprint(shallow, "d").network_code
    assert after[0] == before[0]  # which imports nothing of it
    assert after[1] != before[1]


def test_each_recipe_has_its_own_training_code() -> None:
    author, ours, plain = (
        fingerprint(replace(AUTHOR, recipe=recipe), "d") for recipe in ("author", "ours", "plain")
    )
    assert author.network_code == ours.network_code == plain.network_code
    assert len({author.training_code, ours.training_code, plain.training_code}) == 3
    assert len({author.settings, ours.settings, plain.settings}) == 3


def test_recipe_counts_and_the_claim_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(AUTHOR, "d")
    reference = REFERENCES["deep_cnn"]
    for change, differences in (
        ({"claim": 0.5, "project": "other"}, []),
        ({"epochs": 99}, ["settings"]),
    ):
        patched = {"deep_cnn": replace(reference, **change)}
        monkeypatch.setattr("comparison.recipes.REFERENCES", patched)
        assert fingerprint(AUTHOR, "d").differences(before) == differences


def test_differences_are_named() -> None:
    one = Fingerprints("a", "b", "c", "d")
    assert Fingerprints("x", "b", "c", "y").differences(one) == ["network code", "data"]


def test_data_count_by_their_values_alone(training_digits: TrainingDigits) -> None:
    digest = hash_data(training_digits)
    assert hash_data(replace(training_digits, images=training_digits.images.copy())) == digest
    other = training_digits.labels[::-1].astype(np.uint8)
    assert hash_data(replace(training_digits, labels=other)) != digest
