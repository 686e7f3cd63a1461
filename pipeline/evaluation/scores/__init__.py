"""Scores of all predictions together: a file and a line for each.

Each score takes probabilities, float64 ``(n, 10)``, and labels, uint8 ``(n,)``, and gives a number.
It stands in ``metrics.json``, on the page and in the model card.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pipeline.data.dataset import Labels, Probabilities
from pipeline.evaluation.scores.log_loss import log_loss
from pipeline.evaluation.scores.macro_f1 import macro_f1

SCORES: Mapping[str, Callable[[Probabilities, Labels], float]] = MappingProxyType(
    {
        "log_loss": log_loss,
        "macro_f1": macro_f1,
    }
)
"""By name; the page shows the name with spaces for underscores."""
