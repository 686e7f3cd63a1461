"""A sweep from its first trial to its verdict; it goes on where it was killed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from pipeline import stages
from pipeline.data import dataset
from pipeline.data.dataset import TrainingDigits
from pipeline.errors import PipelineError
from pipeline.files import sha256, write_json
from pipeline.params import Member, Params
from pipeline.sweeps import record
from pipeline.sweeps.display import SweepDisplay
from pipeline.sweeps.files import Paths, check_same
from pipeline.sweeps.jobs import Executor, Job
from pipeline.sweeps.record import Comparison
from pipeline.sweeps.running import RunningTrial
from pipeline.sweeps.scoring import Score, list_members, score
from pipeline.sweeps.space import Space
from pipeline.sweeps.study import FrozenTrial, LaggingRule, Study, facts
from pipeline.sweeps.tracker import JobTracker

Open = Callable[[int, TrainingDigits], AbstractContextManager[Executor]]
"""From the number of jobs that there are at a time, and the data, to who does them."""


def run(space: Space, open_executor: Open) -> dict[str, Any]:
    """Run a sweep, or what is left of it; what was found, as `record.summarize` gives it.

    Raises:
        PipelineError: it cannot begin, or not go on.
    """
    paths = Paths(space.name)
    data = dataset.load_labelled(stages.TRAIN)
    paths.folder.mkdir(parents=True, exist_ok=True)
    with _only_process(paths):
        sweep = Sweep(space, paths, data, sha256(stages.TRAIN))
        at_once = space.file.trials_at_once * len(list_members(space.base, space.file.choose_on))
        with open_executor(at_once, data) as executor, SweepDisplay(space, sweep.table) as display:
            tracker = JobTracker(paths.folder, executor)
            sweep.run_trials(tracker, display)
            return sweep.conclude(tracker, display)


@contextmanager
def _only_process(paths: Paths) -> Iterator[None]:
    try:
        with FileLock(paths.folder / "lock", timeout=0):
            yield
    except Timeout:
        raise PipelineError(
            f"Another process runs the sweep {paths.name}. Wait for it, or end it; this one did "
            "nothing."
        ) from None


class Sweep:
    """The trials of a space.

    Args:
        space: that is searched.
        paths: where files go.
        data: every row of ``train.csv``, with its label as given there.
        data_sha256: of the file that holds them.
    """

    def __init__(self, space: Space, paths: Paths, data: TrainingDigits, data_sha256: str) -> None:
        check_same(paths, space, data_sha256)
        self._space, self._paths = space, paths
        self._data, self._data_sha256 = data, data_sha256
        self._study = Study(paths.folder / "journal.log", space)

    @property
    def table(self) -> pd.DataFrame:
        """The trials so far."""
        return record.tabulate(self._study.trials, self._space)

    def run_trials(self, tracker: JobTracker, display: SweepDisplay) -> None:
        """Run the trials that are left; tell of each in the order of their numbers."""
        file = self._space.file
        running = [
            self._begin(self._study.resume(trial), tracker)
            for trial in self._study.trials
            if not trial.state.is_finished()
        ]
        while True:
            while len(running) < file.trials_at_once and len(self._study.trials) <= file.trials:
                running.append(self._begin(self._study.propose(), tracker))
                display.begin(running[-1].trial.number, running[-1].values)
            if not running:
                return
            while not self._advance(running, tracker):
                tracker.wait()
                display.show({each.trial.number: each.jobs for each in running}, tracker)
            self._tell(running.pop(0), tracker)
            display.finish(self.table)

    def _begin(self, trial: FrozenTrial, tracker: JobTracker) -> RunningTrial:
        values, file = self._study.values(trial), self._space.file
        settings = self._in_force(self._space.settings(values))
        jobs = self._request(settings, file.choose_on, tracker)
        rule = None
        if file.stop_lagging is not None and trial.number > 0:
            told = self._study.trials[: max(0, trial.number - file.trials_at_once + 1)]
            rule = LaggingRule(told, file.stop_lagging)
        return RunningTrial(trial, values, settings, jobs, rule)

    def _in_force(self, settings: Params) -> Params:
        """On the sample, fewer epochs, as in `params.load`."""
        return settings.for_sample() if self._data.provenance.sample else settings

    def _request(
        self, settings: Params, folds: Sequence[int], tracker: JobTracker
    ) -> dict[Member, Job]:
        jobs = {
            member: Job(member, settings, self._data_sha256)
            for member in list_members(settings, folds)
        }
        for job in jobs.values():
            tracker.request(job)
        return jobs

    def _advance(self, running: Sequence[RunningTrial], tracker: JobTracker) -> bool:
        """Stop trials that lag or failed; whether the first one has come to its end."""
        for each in running:
            each.check(tracker)
        hopeful = [each for each in running if not each.is_hopeless(tracker)]
        wanted = {job.key for each in hopeful for job in each.jobs.values()}
        for each in running:
            if each not in hopeful:
                tracker.stop(job.key for job in each.jobs.values() if job.key not in wanted)
        return running[0].has_ended(tracker)

    def _tell(self, ended: RunningTrial, tracker: JobTracker) -> None:
        """Note what a trial came to, and write the table."""
        curve, failure = ended.curve(tracker), ended.failure(tracker)
        histories = [tracker.history(job.key) for job in ended.jobs.values()]
        nodes = {tracker.nodes.get(job.key, "") for job in ended.jobs.values()} - {""}
        noted: dict[str, Any] = {
            "outcome": "complete",
            "epochs": max(map(len, histories)),
            "seconds": round(sum(row["seconds"] for rows in histories for row in rows), 1),
            "nodes": ", ".join(sorted(nodes)),
            "seeds": " ".join(map(str, ended.settings.ensemble.seeds)),
            "ended_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "values": ended.values,
        }
        value = None
        if ended.lags_at is not None:
            curve = curve[: ended.lags_at]
            reason = f"val_loss above the median after epoch {ended.lags_at}"
            noted |= {"outcome": "stopped", "epochs": ended.lags_at, "reason": reason}
        elif failure:
            if ended.trial.number == 0:
                raise PipelineError(f"params.yaml as it is cannot be trained: {failure}")
            noted |= {"outcome": "failed", "reason": failure}
        else:
            scored = self._score(ended.settings, ended.jobs, tracker)
            noted |= {name: getattr(scored, name) for name in _MEASURES}
            value = noted[self._space.file.minimize]
        self._study.tell(ended.trial, noted, curve=curve, value=value)
        record.write_table(self._paths.table, self.table)
        tracker.discard(job.key for job in ended.jobs.values())

    def _score(self, settings: Params, jobs: dict[Member, Job], tracker: JobTracker) -> Score:
        found = {member: tracker.finished[job.key] for member, job in jobs.items()}
        return score(found, self._data, settings)

    def conclude(self, tracker: JobTracker, display: SweepDisplay) -> dict[str, Any]:
        """Compare the winner with params.yaml on both kinds of folds; write what was found."""
        table = self.table
        winner = record.find_winner(table, self._space.file.minimize)
        values = (facts(self._study.trials[winner]) or {})["values"]
        comparisons = self._compare(winner, values, tracker, display) if winner else []
        summary = record.summarize(
            self._space,
            table,
            values,
            self._study.importances(),
            comparisons,
            sample=self._data.provenance.sample,
        )
        write_json(self._paths.summary, summary)
        return summary

    def _compare(
        self, winner: int, values: dict[str, Any], tracker: JobTracker, display: SweepDisplay
    ) -> list[Comparison]:
        display.confirm(winner)
        file, base = self._space.file, self._space.base
        both = [self._in_force(each) for each in (self._space.settings(values), base)]
        found = []
        for folds in (file.choose_on, file.confirm_on):
            jobs = [self._request(settings, folds, tracker) for settings in both]
            keys = {job.key for each in jobs for job in each.values()}
            while not keys <= tracker.finished.keys():
                for key in keys & tracker.failed.keys():
                    raise PipelineError(f"{key} cannot be trained: {tracker.failed[key]}")
                tracker.wait()
                display.show({winner: jobs[0], 0: jobs[1]}, tracker)
            scores = [
                self._score(settings, each, tracker)
                for settings, each in zip(both, jobs, strict=True)
            ]
            found.append(Comparison(folds, *scores))
        return found


_MEASURES = "log_loss", "error_rate", "errors", "images"
