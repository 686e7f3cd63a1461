"""Optuna's part: proposals, which trials lag, and the journal that keeps all of it.

The proposal of trial n follows from the seed and from what trials 0 to n − ``trials_at_once`` came
to; whether trial n lags, from the same trials. So neither depends on which trial is faster, and a
sweep that was killed goes on as it would have. Only one process at a time may use a journal.
"""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ArtifactError, PipelineError
from pipeline.files import corruption_as
from pipeline.sweeps.dimension import Dimension
from pipeline.sweeps.space import Space, StopLagging
from pipeline.wording import as_label

try:
    import optuna
except ModuleNotFoundError as error:
    if error.name != "optuna":
        raise
    raise PipelineError(
        "digits sweep needs Optuna, which is not installed. In the project's folder, run: "
        "pip install -e '.[sweep]'. Nothing was run."
    ) from None
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial as FrozenTrial
from optuna.trial import Trial, TrialState, create_trial

optuna.logging.set_verbosity(optuna.logging.ERROR)

_NAME = "sweep"
_LEAST_FOR_IMPORTANCE = 4


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's warnings for programmers from people."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Study:
    """Trials, their proposals and what they came to; trial 0 is params.yaml as it is.

    Args:
        journal: the file; made if it is not there.
        space: what is searched.

    Raises:
        ArtifactError: the journal is damaged.
    """

    def __init__(self, journal: Path, space: Space) -> None:
        self._space = space
        self._distributions = {each.key: _distribution(each) for each in space.dimensions}
        _mend(journal)
        with (
            _quiet(),
            corruption_as(
                lambda reason: ArtifactError(
                    f"{journal} is damaged: {reason}. Delete it to begin the trials again; members "
                    "that are trained are kept, and not trained again."
                )
            ),
        ):
            storage = JournalStorage(JournalFileBackend(str(journal)))
            self._study = optuna.create_study(
                storage=storage, study_name=_NAME, direction="minimize", load_if_exists=True
            )

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials so far, by their numbers."""
        return self._study.get_trials(deepcopy=False)

    def propose(self) -> FrozenTrial:
        """A new trial."""
        if not self.trials:
            base = self._space.base_values
            held = {key: as_label(base[key]) for key in base} if self._space.holds_base else {}
            distributions = {key: self._distributions[key] for key in held}
            self._study.add_trial(
                create_trial(state=TrialState.RUNNING, params=held, distributions=distributions)
            )
            return self.trials[0]
        with _quiet():
            self._seed_sampler(len(self.trials))
            return self._complete(self._study.ask())

    def resume(self, trial: FrozenTrial) -> FrozenTrial:
        """A trial that was proposed before, also if the sweep was killed while it proposed."""
        if trial.number == 0 or len(trial.params) == len(self._distributions):
            return trial
        with _quiet():
            self._seed_sampler(trial.number)
            return self._complete(Trial(self._study, trial._trial_id))

    def _complete(self, trial: Trial) -> FrozenTrial:
        for key, distribution in self._distributions.items():
            match distribution:
                case CategoricalDistribution():
                    trial.suggest_categorical(key, distribution.choices)
                case IntDistribution():
                    trial.suggest_int(
                        key,
                        distribution.low,
                        distribution.high,
                        step=distribution.step,
                        log=distribution.log,
                    )
                case FloatDistribution():
                    trial.suggest_float(
                        key,
                        distribution.low,
                        distribution.high,
                        step=distribution.step,
                        log=distribution.log,
                    )
        return self.trials[trial.number]

    def _seed_sampler(self, number: int) -> None:
        entropy = np.random.SeedSequence([self._space.file.seed, number])
        seed = int(entropy.generate_state(1)[0])
        self._study.sampler = optuna.samplers.TPESampler(seed=seed)

    def values(self, trial: FrozenTrial) -> dict[str, Any]:
        """What a trial tries, by keys of params.yaml."""
        if trial.number == 0:
            return self._space.base_values
        return {each.key: each.round(trial.params[each.key]) for each in self._space.dimensions}

    def tell(
        self,
        trial: FrozenTrial,
        facts: Mapping[str, Any],
        *,
        curve: Sequence[float],
        value: float | None,
    ) -> None:
        """Note what a trial came to.

        Args:
            trial: a running one.
            facts: to keep with it, as `facts` gives them back.
            curve: val_loss of its epochs, as far as they count.
            value: to minimize; None: it was stopped, or failed.
        """
        with _quiet():
            running = Trial(self._study, trial._trial_id)
            for epoch, val_loss in enumerate(curve, 1):
                running.report(val_loss, epoch)
            running.set_user_attr("facts", json.dumps(facts))
            state = TrialState.PRUNED if value is None else TrialState.COMPLETE
            if trial.number == 0 and not trial.params:  # no proposal could be like it
                state, value = TrialState.FAIL, None
            self._study.tell(trial.number, value, state=state)

    def importances(self) -> dict[str, float]:
        """How much of the trials' differences each key explains, the largest first; they sum to 1.

        Source: F. Hutter, H. Hoos and K. Leyton-Brown, "An efficient approach for assessing
        hyperparameter importance", ICML 2014, over the trials that ran to their end. Empty where
        these are too few or equally good.
        """
        complete = [each for each in self.trials if each.state == TrialState.COMPLETE]
        if len(complete) < _LEAST_FOR_IMPORTANCE or len({each.value for each in complete}) < 2:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self._space.file.seed)
        with _quiet():
            found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {key: float(value) for key, value in found.items()}


def facts(trial: FrozenTrial) -> dict[str, Any] | None:
    """What `Study.tell` noted; None of a trial that is not told."""
    if not trial.state.is_finished():
        return None
    return dict(json.loads(trial.user_attrs["facts"]))


class LaggingRule:
    """Which trials are stopped: those above the median of earlier ones (Golovin et al. 2017).

    Args:
        trials: that were told before.
        settings: from when on.
    """

    def __init__(self, trials: Sequence[FrozenTrial], settings: StopLagging) -> None:
        self._pruner = optuna.pruners.MedianPruner(
            n_startup_trials=settings.after_trials, n_warmup_steps=settings.after_epochs
        )
        with _quiet():
            self._study = optuna.create_study(
                storage=optuna.storages.InMemoryStorage(), direction="minimize"
            )
            self._study.add_trials(each for each in trials if each.state == TrialState.COMPLETE)

    def find(self, curve: Sequence[float], checked: int) -> int | None:
        """The first epoch after ``checked`` at which a trial lags; None: it does not.

        Args:
            curve: val_loss of its epochs so far.
            checked: epochs at which it did not lag.
        """
        for epoch in range(checked + 1, len(curve) + 1):
            so_far = dict(enumerate(curve[:epoch], 1))
            trial = create_trial(state=TrialState.RUNNING, intermediate_values=so_far)
            if self._pruner.prune(self._study, trial):
                return epoch
        return None


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.choices:
        return CategoricalDistribution(dimension.labels)
    low, high, log = dimension.low, dimension.high, dimension.log
    if dimension.whole:
        return IntDistribution(int(low), int(high), log=log, step=int(dimension.step or 1))
    return FloatDistribution(low, high, log=log, step=dimension.step)


def _mend(journal: Path) -> None:
    """Remove what a killed sweep left: its lock, and a line that it had begun to write."""
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if not journal.exists():
        return
    content = journal.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with journal.open("r+b") as file:
            file.truncate(whole)
