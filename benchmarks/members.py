"""How each trained member does on the images it never saw; what averages and neighbours gain."""

import sys
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from comparison.statistics import Interval, mean_accuracy, paired_difference
from pipeline import params, stages
from pipeline.data import dataset
from pipeline.ensemble.averaging import average_probabilities, predict_probabilities
from pipeline.errors import exit_status
from pipeline.evaluation import predictions
from pipeline.networks.record import read_record
from pipeline.networks.trained import load_network
from pipeline.params import Fold, Member

Hits = NDArray[np.bool_]
Average = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_MOST_CHOICES = 200
"""Of so many members among all, for the mean accuracy of their averages; of more, a sample."""


def main() -> None:
    """Print a row per member and per kind, then averages of more and more, then neighbours."""
    data = dataset.load_labelled(stages.TRAIN)
    members = params.load().evaluated_members()
    probabilities, hits, rows = {}, {}, []
    for member in members:
        folder = stages.MODELS / member.name
        record = read_record(folder)
        own = data.folds == member.fold
        probabilities[member] = predict_probabilities(load_network(folder), data.images[own])
        hits[member] = probabilities[member].argmax(axis=1) == data.labels[own]
        rows.append(
            {
                "member": member.name,
                "network": member.network,
                "epochs": record.epochs,
                "best": record.best_epoch,
                "seconds": record.training_seconds,
                "errors": int((~hits[member]).sum()),
                "of": int(own.sum()),
                "accuracy": hits[member].mean(),
            }
        )
    table = pd.DataFrame(rows)
    print(table.drop(columns="network").to_string(index=False, float_format="{:.5f}".format))
    for name, part in table.groupby("network", sort=False):
        print(f"{name}: {describe(part['accuracy'])}, {part['seconds'].mean():.0f} s each")
    print(f"all: {describe(table['accuracy'])}, {table['seconds'].sum() / 60:.1f} min in all")

    by_fold = {fold: [m for m in members if m.fold == fold] for fold in {m.fold for m in members}}
    if len(members) > len(by_fold):
        print_shared_errors(by_fold, hits)
        print_averages(by_fold, probabilities, hits, data)
    print_gain_of_neighbours()


def describe(accuracy: "pd.Series[float]") -> str:
    """Mean and spread."""
    spread = f", standard deviation {accuracy.std():.3%}" if len(accuracy) > 1 else ""
    return f"mean {accuracy.mean():.3%}{spread}, n = {len(accuracy)}"


def print_shared_errors(by_fold: dict[Fold, list[Member]], hits: dict[Member, Hits]) -> None:
    """Of the errors that either of two members makes, the fraction that both make."""
    fractions: dict[str, list[float]] = {}
    for members in by_fold.values():
        for one, other in combinations(members, 2):
            both, either = ~hits[one] & ~hits[other], ~hits[one] | ~hits[other]
            differ = [
                name for name in ("seed", "network") if getattr(one, name) != getattr(other, name)
            ]
            fractions.setdefault(" and ".join(differ), []).append(
                int(both.sum()) / max(1, int(either.sum()))
            )
    print("errors that two members of a fold share (of those that either makes), who differ in")
    for key, values in sorted(fractions.items()):
        print(f"  {key}: {np.mean(values):.0%} (pairs: {len(values)})")


def print_averages(
    by_fold: dict[Fold, list[Member]],
    probabilities: dict[Member, NDArray[np.float64]],
    hits: dict[Member, Hits],
    data: dataset.TrainingDigits,
) -> None:
    """Accuracy of k members averaged, over choices of k; then what all gain over one."""
    count = len(next(iter(by_fold.values())))
    labels = {fold: data.labels[data.folds == fold] for fold in by_fold}
    stacked = {fold: np.stack([probabilities[m] for m in by_fold[fold]]) for fold in by_fold}

    def right(average: Average, chosen: Sequence[int]) -> Hits:
        return np.concatenate(
            [
                average(stacked[fold][list(chosen)]).argmax(axis=1) == labels[fold]
                for fold in by_fold
            ]
        )[np.newaxis]

    for size in range(1, count + 1):
        choices = list(combinations(range(count), size))
        if len(choices) > _MOST_CHOICES:
            choices = np.random.default_rng(0).permutation(choices)[:_MOST_CHOICES].tolist()
        accuracies = [right(average_probabilities, chosen).mean() for chosen in choices]
        print(
            f"averages of {size}: mean {np.mean(accuracies):.3%} "
            f"({np.min(accuracies):.3%} to {np.max(accuracies):.3%}, n = {len(accuracies)})"
        )
    averaged = right(average_probabilities, range(count))
    arithmetic = right(lambda each: each.mean(axis=0), range(count))
    single = np.concatenate(
        [np.stack([hits[member] for member in by_fold[fold]]) for fold in by_fold], axis=1
    )
    accuracy, gain = mean_accuracy(averaged), paired_difference(averaged, single)
    print(
        f"all {count} averaged: {averaged.size - averaged.sum():,} of {averaged.size:,} errors, "
        f"{accuracy.value:.3%} ({accuracy.low:.3%} to {accuracy.high:.3%}); gain over one, paired: "
        f"{describe_gain(gain)}"
    )
    print(
        f"by means of probabilities, not of their logarithms: {(~arithmetic).sum():,} errors; gain "
        f"of the logarithms, paired: {describe_gain(paired_difference(averaged, arithmetic))}"
    )


def print_gain_of_neighbours() -> None:
    """How many errors of the last ``dvc repro evaluate`` they corrected, and how many they made."""
    found = predictions.load(stages.EVALUATION / "out_of_fold.npz")
    alone, refined = (
        (each.argmax(axis=1) == found.labels)[np.newaxis]
        for each in (found.averages, found.probabilities)
    )
    print(
        f"with neighbours: {(~refined).sum():,} of {refined.size:,} errors instead of "
        f"{(~alone).sum():,}, {(refined & ~alone).sum()} corrected, {(alone & ~refined).sum()} "
        f"new; gain, paired: {describe_gain(paired_difference(refined, alone))}"
    )


def describe_gain(gain: Interval) -> str:
    """In percentage points, with its interval."""
    return f"{100 * gain.value:+.3f} points ({100 * gain.low:+.3f} to {100 * gain.high:+.3f})"


if __name__ == "__main__":
    sys.exit(exit_status(main))
