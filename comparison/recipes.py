"""How each run is trained: the author's recipe as published, ours as the profile `default` has it.

Every run goes on to its end: there is no bound but the recipe's own.
"""

from dataclasses import asdict
from functools import cache
from typing import Any

from comparison.references import REFERENCES, Reference
from comparison.runs import OURS, Run
from pipeline import params, profiles
from pipeline.member import Member, Views
from pipeline.params import Augmentation, Network, Params, Train

VALIDATION_FRACTION = 0.05
"""Of the training rows, in the validation set of an author who stops early."""

_NOT_TRAINING = (
    "project",
    "claim",
    "claimed_on",
    "held_back_fraction",
    "trained_on",
    "stopped_epochs",
    "assumed",
)
"""What of a `Reference` no weight follows from."""

_USUAL_FITTED_FRACTION = 0.65
"""Of the images, in an epoch of ours: InfoBatch leaves out half of those that are learned."""


def describe(run: Run) -> dict[str, Any]:
    """Everything of the recipe that the weights follow from, as JSON has it."""
    if run.recipe in OURS:
        defaults = read_defaults()
        return {
            "train": defaults.train.model_dump(),
            "augmentation": defaults.augmentation.model_dump(),
            "views": views_of(run),
            "seed": defaults.seed,
        }
    reference = REFERENCES[run.network]
    recipe = {key: value for key, value in asdict(reference).items() if key not in _NOT_TRAINING}
    return recipe | {"validation_fraction": validation_fraction(reference)}


def validation_fraction(reference: Reference) -> float:
    """Of an author's training rows, what decides when to stop; 0 where nothing does."""
    return VALIDATION_FRACTION if reference.patience_epochs else 0.0


def views_of(run: Run) -> Views:
    """In which a run shows images."""
    if run.recipe != "ours":
        return ((),)
    profile = profiles.read("default")
    (name,) = profile["ensemble"]["networks"]
    network = Network.model_validate(profile["networks"][name])
    return tuple(map(tuple, network.preprocessing))


def member_of(run: Run) -> Member:
    """A run of ours as the training loop knows it."""
    return Member(run.fold, run.seed, run.network, run.network, views_of(run))


@cache
def read_defaults() -> Params:
    """params.yaml as it would be with the default profile, whatever it tries at the moment."""
    profile = profiles.read("default")
    return params.load_file().model_copy(
        update={
            "train": Train.model_validate(profile["train"]),
            "augmentation": Augmentation.model_validate(profile["augmentation"]),
        }
    )


def asked_epochs(run: Run) -> int:
    """The most epochs that a run may take."""
    if run.recipe in OURS:
        return read_defaults().train.max_epochs
    return REFERENCES[run.network].epochs


def expected_images(run: Run, num_rows: int) -> float:
    """About how many images all epochs of a run fit together.

    Args:
        run: any.
        num_rows: outside its fold.
    """
    if run.recipe in OURS:
        return asked_epochs(run) * num_rows * _USUAL_FITTED_FRACTION
    reference = REFERENCES[run.network]
    return (reference.stopped_epochs or reference.epochs) * run.fraction * num_rows
