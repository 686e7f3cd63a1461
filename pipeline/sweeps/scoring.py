"""What the members of a trial predict together, and how good that is.

As evaluate does it: each fold by the average of the members that hold it out, refined with
neighbours from other folds, against the labels as given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Labels, Probabilities, TrainingDigits
from pipeline.ensemble.averaging import average_probabilities
from pipeline.ensemble.neighbours import refine_held_out
from pipeline.evaluation.scores.log_loss import log_loss
from pipeline.params import Member, Params
from pipeline.sweeps.predictions import MemberPredictions


@dataclass(frozen=True)
class Score:
    """How good predictions of held-out images are.

    Attributes:
        images: how many.
        errors: how many of them are wrong.
        log_loss: mean of all.
        correct: which are right, ``(images,)``, by fold.
    """

    images: int
    errors: int
    log_loss: float
    correct: NDArray[np.bool_]

    @property
    def error_rate(self) -> float:
        """Errors as a fraction of the images."""
        return self.errors / self.images


def list_members(settings: Params, folds: Sequence[int]) -> list[Member]:
    """The members that hold out these folds, whatever ``ensemble.folds`` says."""
    ensemble = settings.ensemble.model_copy(update={"folds": list(folds)})
    return settings.model_copy(update={"ensemble": ensemble}).members()


def score(
    members: Mapping[Member, MemberPredictions], data: TrainingDigits, settings: Params
) -> Score:
    """How good the members of some folds are together.

    Args:
        members: with their predictions; all members of each fold.
        data: every row of ``train.csv``, with its label as given there.
        settings: of the trial.
    """
    labels: list[Labels] = []
    predicted: list[Probabilities] = []
    for fold in sorted({member.fold for member in members if member.fold != "all"}):
        each = [found.probabilities for member, found in members.items() if member.fold == fold]
        averages = average_probabilities(each)
        refined = refine_held_out(averages, data, fold, **settings.neighbours.model_dump())
        predicted.append(refined)
        labels.append(data.labels[data.folds == fold])
    probabilities = np.concatenate(predicted)
    true = np.concatenate(labels)
    correct = np.asarray(probabilities.argmax(axis=1) == true)
    return Score(len(true), int((~correct).sum()), log_loss(probabilities, true), correct)
