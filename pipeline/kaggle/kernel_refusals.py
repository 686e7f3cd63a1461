"""What Kaggle's refusals of a notebook mean, and what to do about them."""

from typing import Any

from pipeline.errors import KaggleError
from pipeline.kaggle.credentials import COMPETITION, PAGE
from pipeline.kaggle.kernel import Version
from pipeline.kaggle.redaction import redact

_QUOTED_CHARACTERS = 300


def title_taken(kernel: str, words: str) -> KaggleError:
    """The error for a title that belongs to another address.

    Args:
        kernel: the address that was asked for.
        words: Kaggle's own, as `error_messages.quote` gives them.
    """
    return KaggleError(
        f"Kaggle did not take the notebook as {kernel} (409{words}): another address has its "
        "title, as after a notebook was renamed. Nothing was started. Choose another title with "
        "--title, or name the address that has this one with --id."
    )


def check(kernel: str, answer: Any) -> None:
    """Check Kaggle's answer to a notebook that was sent.

    Raises:
        KaggleError: it was not taken, or Kaggle lacks what it needs.
    """
    if answer.error:
        raise KaggleError(
            f"Kaggle did not take the notebook as {kernel} ({shorten(answer.error)}). Nothing was "
            "started. If it is open in Kaggle's editor, save it there; otherwise choose another "
            "title with --title."
        )
    if answer.invalid_competition_sources:
        raise KaggleError(
            f"Kaggle took the notebook without the data of {COMPETITION}, which it needs. Join the "
            f"competition and accept its rules at {PAGE}/rules, then run the same command again."
        )
    if answer.invalid_dataset_sources:
        raise KaggleError(
            "Kaggle took the notebook without the data set "
            f"{', '.join(map(shorten, answer.invalid_dataset_sources))}, which it does not know: "
            "expected USER/DATASET as in its address, and one that this account may read. Correct "
            "--wheels."
        )


def not_found(version: Version) -> KaggleError:
    """The error for a version that is not there any more."""
    return KaggleError(
        f"Kaggle does not know {version} any more. Look at {version.url}, or start again: the "
        "same command with --again"
    )


def shorten(text: str) -> str:
    """Kaggle's own words in one line, without secrets and the last stop."""
    return redact(" ".join(text.split()))[:_QUOTED_CHARACTERS].rstrip(".")
