"""Held-back accuracy and training time of each trained member that params.yaml lists."""

import sys

import numpy as np
import pandas as pd

from pipeline import digits, params, stages
from pipeline.errors import exit_status
from pipeline.files import read_json
from pipeline.inference import load_network, predict_probabilities


def main() -> None:
    """Print a row per member, then the mean and spread."""
    data = digits.load_training(stages.TRAIN)
    rows = []
    for member in params.load().ensemble.members():
        if member.fold == "all":
            continue
        folder = stages.MODELS / member.name
        record = read_json(folder / "member.json")
        held_back = data.folds == member.fold
        probabilities = predict_probabilities(load_network(folder), data.images[held_back])
        wrong = int((probabilities.argmax(axis=1) != data.labels[held_back]).sum())
        rows.append(
            {
                "member": member.name,
                "epochs": record["epochs"],
                "best": record["best_epoch"],
                "seconds": record["training_seconds"],
                "wrong": wrong,
                "of": int(held_back.sum()),
                "accuracy": 1 - wrong / held_back.sum(),
            }
        )
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.5f}".format))
    accuracy = table["accuracy"]
    spread = f"standard deviation {np.std(accuracy, ddof=1):.3%}, " if len(table) > 1 else ""
    print(f"mean {accuracy.mean():.3%}, {spread}n = {len(table)}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
