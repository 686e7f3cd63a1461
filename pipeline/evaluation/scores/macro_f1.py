"""F1 of the digits, each counting alike."""

from sklearn.metrics import f1_score

from pipeline.data.dataset import Labels, Probabilities


def macro_f1(probabilities: Probabilities, labels: Labels) -> float:
    """Mean over the digits of the harmonic mean of precision and recall; higher is better."""
    return float(f1_score(labels, probabilities.argmax(axis=1), average="macro"))
