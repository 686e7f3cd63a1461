"""Train one architecture by its author's recipe and by ours, from each seed; read the fold once.

Killed at any moment, it continues: finished runs are left as they are, and the one that was
interrupted goes on after its last finished epoch.
"""

import argparse
import hashlib
import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from comparison import recipes, settings
from comparison.recipes import Plan, Whose
from comparison.references import REFERENCES
from comparison.settings import RUNS, STATES, Settings
from pipeline import architectures, digits, params, profiles, stages, training
from pipeline.backend import keras, make_repeatable, tf
from pipeline.digits import TrainingDigits
from pipeline.errors import ParamsError, exit_status
from pipeline.files import read_json, replacing, sha256, write_json
from pipeline.folds import split_for_stopping
from pipeline.inference import Network, predict_probabilities, save_model
from pipeline.layers import tabulate_layers
from pipeline.params import PLAIN, Augmentation, Member, Params, Train
from pipeline.preprocessing import preprocess
from pipeline.stages.train import CODE, derive_seed, make_recipe
from pipeline.training_state import held


def main() -> None:
    """Entry point of the stage."""
    parser = argparse.ArgumentParser(prog="python -m comparison.train", description=__doc__)
    parser.add_argument("architecture", choices=list(architectures.ARCHITECTURES))
    train(parser.parse_args().architecture, settings.load())


def train(architecture: str, chosen: Settings) -> None:
    """Do what is left of an architecture's runs, into ``comparison/runs/<architecture>/``."""
    data = digits.load_training(stages.TRAIN)
    if not (data.folds == chosen.fold).any():
        raise ParamsError(
            f"comparison/params.yaml is not usable: fold: expected one of 0 to {data.folds.max()}, "
            f"found {chosen.fold}. Nothing was run."
        )
    whose: list[Whose] = ["author", "ours"] if architecture in REFERENCES else ["ours"]
    with held(STATES / f"{architecture}.lock", architecture):
        for recipe in whose:
            for seed in chosen.seeds:
                preprocessing = PLAIN if recipe == "author" else settings.default_preprocessing()
                member = Member(chosen.fold, seed, architecture, preprocessing)
                fit_run(recipe, member, chosen, data)


def fit_run(whose: Whose, member: Member, chosen: Settings, data: TrainingDigits) -> None:
    """Fit one network, from where an interrupted run left it, unless that is done already.

    Its folder holds the model, its history, ``member.json`` as the train stage's do, and
    ``predictions.npz``: uint8 ``labels`` and ``predicted`` ``(n,)`` of the fold, in its order.
    """
    name = f"{member.architecture}-{whose}-{member.seed}"
    folder = RUNS / member.architecture / f"{whose}-{member.seed}"
    defaults = read_defaults()
    seed = derive_seed(member, defaults.seed)
    make_repeatable(seed)
    model = architectures.build(member.architecture)
    multiply_adds = int(tabulate_layers(model)["multiply_adds"].sum())
    fitted, stopping = np.flatnonzero(data.folds != member.fold), None
    plan = make_plan(whose, member, multiply_adds, len(fitted), chosen, defaults)
    conditions = describe_conditions(plan, member, seed)
    fingerprint = hashlib.sha256(json.dumps(conditions).encode()).hexdigest()[:16]
    state_path = STATES / f"{name}.{fingerprint}.npz"
    if (folder / "member.json").exists() and read_json(folder / "member.json")[
        "fingerprint"
    ] == fingerprint:
        print(f"{name}: finished already", flush=True)
        discard_states(name)
        return

    images = preprocess(data.images, member.steps)
    if plan.stopping_fraction:
        fitted, slice_rows = split_for_stopping(
            data.labels, fitted, fraction=plan.stopping_fraction, seed=seed
        )
        stopping = images[slice_rows], data.labels[slice_rows]
    state = training.fit(
        model,
        images[fitted],
        data.labels[fitted],
        stopping=stopping,
        recipe=plan.recipe,
        seed=seed,
        state_path=state_path,
        name=name,
    )
    judged = data.folds == member.fold
    labels = data.labels[judged]
    probabilities = predict_probabilities(Network(model, tuple(member.steps)), data.images[judged])
    predicted = probabilities.argmax(axis=1).astype(np.uint8)
    record = {
        "architecture": member.architecture,
        "recipe": whose,
        "seed": member.seed,
        "sample": data.provenance.sample,
        "preprocessing": member.steps,
        "parameters": model.count_params(),
        "multiply_adds": multiply_adds,
        "epochs": len(state.history),
        "max_epochs": plan.recipe.max_epochs,
        "asked_epochs": plan.asked_epochs,
        "fitted_images": int(sum(row["images"] for row in state.history)),
        "training_seconds": round(sum(row["seconds"] for row in state.history), 1),
        "right": int((predicted == labels).sum()),
        "judged_images": len(labels),
        "fingerprint": fingerprint,
        "conditions": conditions,
    }
    with replacing(folder) as temporary:
        save_model(model, temporary / "model.keras")
        pd.DataFrame(state.history).to_csv(temporary / "history.csv", index=False)
        np.savez(temporary / "predictions.npz", labels=labels, predicted=predicted)
        write_json(temporary / "member.json", record)
    discard_states(name)
    print(
        f"{name}: {record['right']:,} of {len(labels):,} right after {record['epochs']} epochs "
        f"and {record['training_seconds']:.0f} s of training",
        flush=True,
    )


def read_defaults() -> Params:
    """params.yaml as it would be with the default profile, whatever it tries at the moment."""
    profile = profiles.read("default")
    return params.load().model_copy(
        update={
            "train": Train.model_validate(profile["train"]),
            "augmentation": Augmentation.model_validate(profile["augmentation"]),
        }
    )


def make_plan(
    whose: Whose,
    member: Member,
    multiply_adds: int,
    num_rows: int,
    chosen: Settings,
    defaults: Params,
) -> Plan:
    """How a run is fitted that may use ``num_rows`` images."""
    if whose == "ours":
        return recipes.plan_ours(
            make_recipe(member, defaults),
            stopping_fraction=defaults.train.stopping_fraction,
            budget=chosen.budget,
        )
    return recipes.plan_author(
        REFERENCES[member.architecture],
        multiply_adds=multiply_adds,
        num_rows=num_rows,
        budget=chosen.budget,
    )


def describe_conditions(plan: Plan, member: Member, seed: int) -> dict[str, Any]:
    """Everything that the trained weights follow from."""
    package = Path(stages.__file__).parent.parent
    code = (*CODE, f"architectures/{member.architecture}.py")
    return {
        "plan": asdict(plan),
        "fold": member.fold,
        "preprocessing": member.steps,
        "seed": seed,
        "data_sha256": sha256(stages.TRAIN),
        "code_sha256": {name: sha256(package / name) for name in code}
        | {"comparison/train.py": sha256(Path(__file__))},
        "versions": {
            "python": platform.python_version(),
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
    }


def discard_states(name: str) -> None:
    """Delete what runs of this name left to be continued."""
    for path in STATES.glob(f"{name}.*.npz"):
        path.unlink()


if __name__ == "__main__":
    sys.exit(exit_status(main))
