"""What Kaggle's refusals of a notebook mean, and what to do about them."""

from typing import Any

import requests

from pipeline.errors import KaggleError
from pipeline.kaggle import answers, error_messages
from pipeline.kaggle.credentials import COMPETITION, PAGE, SETTINGS
from pipeline.kaggle.kernel import Version


def of_status(kernel: str, error: requests.HTTPError) -> KaggleError | None:
    """The error for a notebook that was refused by a status; None where any request may get it.

    Args:
        kernel: the address that was asked for.
        error: what the client raised.
    """
    if error.response is None:
        return None
    words = error_messages.describe(error.response)
    match error.response.status_code:
        case 403:
            return KaggleError(
                f"Kaggle does not let this account save the notebook {kernel} ({words}). Nothing "
                "was started. Name a notebook of the account that the credentials belong to with "
                f"--id; if Kaggle asks for it, verify your phone number at {SETTINGS}."
            )
        case 409:
            return KaggleError(
                f"Kaggle did not take the notebook as {kernel} ({words}): another address has its "
                "title, as after a notebook was renamed. Nothing was started. Choose another title "
                "with --title, or name the address that has this one with --id."
            )
    return None


def of_answer(kernel: str, answer: Any) -> KaggleError | None:
    """The error for a notebook that was not taken, or lacks what it needs; None if all is well."""
    if answer.error:
        return KaggleError(
            f"Kaggle did not take the notebook as {kernel} ({answers.quote(answer.error)}). "
            "Nothing was started. If it is open in Kaggle's editor, save it there; otherwise "
            "choose another title with --title."
        )
    if answer.invalid_competition_sources:
        return KaggleError(
            f"Kaggle took the notebook without the data of {COMPETITION}, which it needs. Join the "
            f"competition and accept its rules at {PAGE}/rules, then run the same command again."
        )
    if answer.invalid_dataset_sources:
        return KaggleError(
            "Kaggle took the notebook without the data set "
            f"{', '.join(map(answers.quote, answer.invalid_dataset_sources))}, which it does not "
            "know: expected USER/DATASET as in its address, and one that this account may read. "
            "Correct --wheels."
        )
    return None


def not_found(version: Version) -> KaggleError:
    """The error for a version that is not there any more."""
    return KaggleError(
        f"Kaggle does not know {version} any more. Look at {version.url}, or start again: the "
        "same command with --again"
    )
