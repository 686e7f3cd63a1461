"""What Kaggle tells of a submission."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Submission:
    """A submission as Kaggle lists it.

    Attributes:
        reference: Kaggle's number for it.
        time: when it was made.
        description: the message it was made with.
        file_name: the name of the uploaded file.
        status: ``pending``, ``complete`` or ``error``.
        public_score: as Kaggle writes it; empty without one.
        error: why it could not be scored; empty if it could.
    """

    reference: int
    time: datetime
    description: str
    file_name: str
    status: str
    public_score: str
    error: str
