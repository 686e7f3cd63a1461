"""The runs: what each one is, which of them the settings want, and in which order.

Nothing here needs Keras, so that a list is there at once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product, starmap

from comparison.references import REFERENCES, Whose
from comparison.settings import Settings
from pipeline.errors import ParamsError

OURS: tuple[Whose, ...] = ("ours", "plain")
"""The recipes of ours: all training rows, our own training loop."""


@dataclass(frozen=True)
class Run:
    """One network to train and to score.

    Attributes:
        network: the name of its architecture.
        recipe: whose, and for ours in which views.
        fraction: of the rows outside the fold that it may train on.
        fold: that scores it.
        seed: of its weights, batches and warps.
    """

    network: str
    recipe: Whose
    fraction: float
    fold: int
    seed: int

    @property
    def name(self) -> str:
        """For messages, and for the files of interrupted runs."""
        return f"{self.network}-{self.recipe}-{self.fraction:g}-{self.fold}-{self.seed}"


@dataclass(frozen=True)
class Selection:
    """Which runs a command is about; an empty list stands for what the settings list.

    Folds and seeds may be others than those of the settings.
    """

    networks: Sequence[str] = ()
    recipes: Sequence[Whose] = ()
    fractions: Sequence[float] = ()
    folds: Sequence[int] = ()
    seeds: Sequence[int] = ()


def list_runs(
    chosen: Settings, selection: Selection, minutes: Callable[[Run], float | None]
) -> list[Run]:
    """All runs that are wanted, finished or not, the most useful ones first.

    First comes what answers the claims: every network by either recipe, from one seed. Then what
    shows how the error falls with the number of images, then our recipe in plain view, then other
    seeds and folds. Among equals the short ones come first.

    Args:
        chosen: the settings.
        selection: of what they list, or beyond it.
        minutes: that a run is estimated to take on the machine of the documented times; None: not
            known. It decides which runs get more than one seed.

    Raises:
        ParamsError: the selection names something that there is not, or leaves nothing.
    """
    unknown = set(selection.networks) - set(chosen.architectures)
    if unknown:
        raise ParamsError(
            f"The comparison has no network {', '.join(sorted(unknown))}: expected names that "
            f"architectures in comparison/params.yaml lists: {', '.join(chosen.architectures)}."
        )
    runs = list(_combine(chosen, selection, minutes))
    if not runs:
        raise ParamsError(
            "No run is as you selected: the authors' recipes are for networks that have an author, "
            "ours are for all training rows (--fraction 1)."
        )
    folds = list(selection.folds or chosen.folds)
    seeds = list(selection.seeds or chosen.seeds)

    def usefulness(run: Run) -> tuple[int, int, float]:
        place = folds.index(run.fold) + seeds.index(run.seed)
        kind = 1 if run.fraction < 1 else 2 if run.recipe == "plain" else 0
        return place, kind, minutes(run) or 0.0

    return sorted(runs, key=usefulness)


def _combine(
    chosen: Settings, selection: Selection, minutes: Callable[[Run], float | None]
) -> Iterator[Run]:
    folds = selection.folds or chosen.folds
    for run in starmap(
        Run,
        product(
            selection.networks or chosen.architectures,
            selection.recipes or ("author", *OURS),
            selection.fractions or chosen.fractions,
            folds,
            selection.seeds or chosen.seeds,
        ),
    ):
        is_further = not selection.seeds and run.seed != chosen.seeds[0]
        is_long = (minutes(run) or 0.0) >= chosen.one_seed_from_minutes
        if exists(run) and not (is_further and (is_long or run.fold != folds[0])):
            yield run


def exists(run: Run) -> bool:
    """Whether there is such a run: authors have their networks, ours train on all rows."""
    if run.recipe in OURS:
        return run.fraction == 1
    return run.network in REFERENCES
