"""Space files for tests."""

from pathlib import Path

SPACE = """\
trials: 3
trials_at_once: 1
seed: 0
minimize: log_loss
choose_on: [0, 1]
confirm_on: [2]
stop_lagging: {after_trials: 1, after_epochs: 1}
space:
  train.learning_rate: {low: 0.001, high: 0.02, log: true}
  train.batch_size: [10, 20]
"""


def write_space(folder: Path, *changes: tuple[str, str], name: str = "small") -> Path:
    """A space file with some of its text replaced; each must be there."""
    text = SPACE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "sweeps" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path
