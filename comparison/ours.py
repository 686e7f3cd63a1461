"""A network by our recipe: that of the profile `default`, by the pipeline's own training loop.

The whole schedule, views included; by ``plain`` the same with images as they are alone. It runs on
the CPU, with two threads, as the pipeline's members do.
"""

from importlib.metadata import version

from comparison import recipes, robustness
from comparison.fingerprints import Fingerprints
from comparison.outcome import Outcome
from comparison.runs import Run
from comparison.settings import STATES, Settings
from pipeline import architectures
from pipeline.data.dataset import TrainingDigits
from pipeline.ensemble.averaging import predict_probabilities
from pipeline.networks.backend import keras
from pipeline.networks.devices import CPU
from pipeline.networks.machine import describe_machine
from pipeline.networks.record import Conditions
from pipeline.networks.summary import tabulate_layers
from pipeline.networks.trained import TrainedNetwork
from pipeline.training import network
from pipeline.training.task import Task, derive_seed, make_recipe


def train(run: Run, data: TrainingDigits, now: Fingerprints, chosen: Settings) -> Outcome:
    """Fit a run by our recipe, from where it was interrupted, and score it.

    Args:
        run: whose recipe is ours.
        data: all labelled digits.
        now: of the run; a state of others is not continued.
        chosen: which networks read moved digits as well.

    Raises:
        PipelineError: the loss is not finite.
    """
    task = make_task(run, now)
    fitted = network.fit(task, data, architectures.build)
    trained = TrainedNetwork(fitted.model, task.member.views)
    held_out = data.folds == run.fold
    images, labels = data.images[held_out], data.labels[held_out]
    moves = run.recipe == "plain" and run.network in chosen.robustness.architectures
    machine = task.conditions.machine
    return Outcome(
        probabilities=predict_probabilities(trained, images),
        parameters=fitted.model.count_params(),
        multiply_adds=int(tabulate_layers(fitted.model)["multiply_adds"].sum()),
        training_images=len(fitted.rows.training) + len(fitted.rows.validation),
        history=fitted.state.history,
        machine=machine["cpu"],
        backend=f"tensorflow {version('tensorflow')}, keras {keras.__version__}",
        dtype=task.compute_dtype,
        movements=(
            robustness.measure(run, trained, images, labels, chosen.robustness) if moves else ()
        ),
    )


def make_task(run: Run, now: Fingerprints) -> Task:
    """A run of ours as the training loop takes it."""
    member, defaults = recipes.member_of(run), recipes.read_defaults()
    conditions = Conditions(
        seed=defaults.seed,
        train=defaults.train.model_dump(),
        augmentation=defaults.augmentation.model_dump(),
        architecture=run.network,
        preprocessing=[list(view) for view in member.views],
        data_sha256=now.data,
        code_sha256={"network": now.network_code, "training": now.training_code},
        machine=describe_machine(defaults.train.compute_dtype, CPU),
    )
    return Task(
        name=run.name,
        member=member,
        recipe=make_recipe(member, defaults),
        validation_fraction=defaults.train.validation_fraction,
        seed=derive_seed(member, defaults.seed),
        conditions=conditions,
        device=CPU,
        folder=STATES / run.name,
        states=STATES,
    )
