"""Cross-entropy of the predictions."""

from sklearn import metrics

from pipeline.data.dataset import NUM_CLASSES, Labels, Probabilities


def log_loss(probabilities: Probabilities, labels: Labels) -> float:
    """Mean of the negative natural logarithm of the true digit's probability; lower is better."""
    return float(metrics.log_loss(labels, probabilities, labels=range(NUM_CLASSES)))
