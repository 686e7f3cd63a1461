"""One network of the ensemble: what it is, and its name everywhere."""

from dataclasses import dataclass
from typing import Literal

Views = tuple[tuple[str, ...], ...]
"""For each view of an image, the names of its transforms in their order; none: as it is."""


@dataclass(frozen=True)
class Member:
    """One network of the ensemble, in one fold, from one seed.

    Attributes:
        fold: that it holds out, or ``all``.
        seed: of ``ensemble.seeds``; `training.task.derive_seed` makes its own from it.
        network: the name that ``networks`` gives it.
        architecture: the name of a module of `pipeline.architectures`.
        views: in which it sees images.
    """

    fold: int | Literal["all"]
    seed: int
    network: str
    architecture: str
    views: Views

    @property
    def name(self) -> str:
        """Its folder under models/, and its stage in DVC after ``train@``."""
        return f"{self.fold}-{self.seed}-{self.network}"

    @property
    def view_names(self) -> list[str]:
        """Its views as text, such as ``plain`` and ``deskew+normalize_width``."""
        return ["+".join(view) or "plain" for view in self.views]
