"""Experiments and earlier runs, as Git and DVC keep them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from pipeline import git
from pipeline.errors import DvcBusyError, DvcError
from pipeline.project import FOLDER
from pipeline.runs.outdated import decides_score, find_outdated, readable_dvc_errors
from pipeline.runs.repository import check_project

if TYPE_CHECKING:
    from dvc.repo.experiments.serialize import ExpState

METRICS = "reports/evaluation/metrics.json"
_BASELINE = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/")


@dataclass(frozen=True)
class Run:
    """One run of the pipeline.

    Attributes:
        name: of the experiment; of a commit, its first seven digits and its title; ``workspace``.
        kind: ``workspace``, ``commit`` or ``experiment``.
        revision: the commit that holds it; None of the workspace.
        state: ``done``, or as DVC says: ``queued``, ``running`` or ``failed``; ``no score`` where
            no metrics belong to the parameters.
        time: when it was committed, local time; None of the workspace.
        changed: parameters that differ from the run that it follows, with their values here; for an
            experiment that is the commit it began from. None stands for one that is gone.
        other_data: whether it saw other data than the run that it follows.
        other_code: whether code that shapes results differs from the run that it follows.
        accuracy: a share, as the next two; None without a score.
        accuracy_low: where its 95 % interval begins.
        accuracy_high: where it ends.
        errors: how many images are misclassified.
        images: how many were evaluated.
        training_seconds: of all its networks together.
    """

    name: str
    kind: str
    revision: str | None
    state: str
    time: str | None
    changed: dict[str, Any]
    other_data: bool
    other_code: bool
    accuracy: float | None
    accuracy_low: float | None
    accuracy_high: float | None
    errors: int | None
    images: int | None
    training_seconds: float | None


def collect(number: int) -> list[Run]:
    """The workspace, and under each commit with results the experiments that began from it.

    Args:
        number: of commits, at most.

    Raises:
        DvcError: DVC or Git does not work here.
        ParamsError: the current folder is in no project.
    """
    check_project()
    titles = _list_commits(number)
    with readable_dvc_errors():
        from dvc.repo import Repo

        with Repo(str(FOLDER)) as repo:
            states = repo.experiments.show(revs=list(titles))
    workspace, *commits = states
    commits = [commit for commit in commits if commit.data is not None]
    found = [_read_workspace(workspace, commits[0] if commits else None)]
    for commit, earlier in zip_longest(commits, commits[1:]):
        experiments = [
            _read(each.revs[0], "experiment", commit, each.executor and each.executor.state)
            for each in commit.experiments or ()
        ]
        run = _read(commit, "commit", earlier, title=titles.get(commit.rev, ""))
        has_results = run.accuracy is not None and not _is_the_same(commit, earlier)
        if experiments or has_results:
            found += [run, *experiments]
    return found


def _list_commits(number: int) -> dict[str, str]:
    """Titles by their hashes, a commit before those that it follows: the newest that changed
    results, HEAD, and those from which experiments began."""
    log = ["log", "--no-show-signature", "--topo-order"]
    changed = _git(*log, "--format=%H", f"--max-count={number}", "--", "dvc.lock", METRICS)
    wanted = {*_git("rev-parse", "HEAD").split(), *changed.split(), *_list_baselines()}
    history = _git(*log, "--format=%H %s", *wanted)
    titles = dict(line.partition(" ")[::2] for line in history.splitlines())
    return {commit: title for commit, title in titles.items() if commit in wanted}


def _list_baselines() -> list[str]:
    """The commits that experiments began from."""
    refs = _git("for-each-ref", "--format=%(refname)", "refs/exps/")
    return ["".join(parts) for parts in _BASELINE.findall(refs)]


def _git(*arguments: str) -> str:
    done = git.run(FOLDER, *arguments)
    if done is None:
        raise DvcError("Earlier runs are kept by Git, which is not installed.")
    if fault := done.returncode and git.find_fault(FOLDER):
        raise DvcError(fault)
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        reason = " ".join(said.removeprefix("fatal: ").split())
        raise DvcError(
            f"Earlier runs are kept by Git, which says: {reason}. Expected a repository with a "
            "commit: git init && git add . && git commit -m start"
        )
    return done.stdout.decode(errors="replace")


def _read_workspace(state: ExpState, head: ExpState | None) -> Run:
    """The workspace; its metrics may be of other parameters or networks than it has now."""
    from pipeline import params
    from pipeline.runs.standing import read_score

    settings = params.load()
    run = _read(state, "workspace", head)
    try:
        score, _ = read_score(settings)
        if score is not None and not decides_score(find_outdated(settings)):
            return run
        state_now = "no score"
    except DvcBusyError:
        state_now = "running"
    return replace(
        run,
        state=state_now,
        accuracy=None,
        accuracy_low=None,
        accuracy_high=None,
        errors=None,
        images=None,
        training_seconds=None,
    )


def _read(
    state: ExpState,
    kind: str,
    earlier: ExpState | None,
    executor_state: str | None = None,
    title: str = "",
) -> Run:
    name = {
        "workspace": "workspace",
        "commit": f"{state.rev[:7]} {title}",
        "experiment": state.name or state.rev[:7],
    }[kind]
    unfinished = None if executor_state == "success" else executor_state
    metrics = {} if unfinished else _metrics(state)  # it has those of the commit it began with
    scored = "done" if metrics else "no score"
    time = state.data.timestamp if state.data else None
    return Run(
        name=name.strip(),
        kind=kind,
        revision=None if kind == "workspace" else state.rev,
        state=unfinished or scored,
        time=time.isoformat(timespec="seconds") if time else None,
        changed=_compare(_params(state), _params(earlier)) if earlier else {},
        other_data=bool(earlier) and _differ(_outputs(state), _outputs(earlier)),
        other_code=bool(earlier) and _differ(_code(state), _code(earlier)),
        accuracy=metrics.get("accuracy"),
        accuracy_low=metrics.get("accuracy_low"),
        accuracy_high=metrics.get("accuracy_high"),
        errors=metrics.get("errors"),
        images=metrics.get("n"),
        training_seconds=metrics.get("training_seconds"),
    )


def _metrics(state: ExpState) -> dict[str, Any]:
    files = state.data.metrics if state.data else {}
    content: dict[str, Any] = files.get(METRICS, {}).get("data") or {}
    return content


def _params(state: ExpState | None) -> dict[str, Any]:
    """Values by their dotted keys."""
    files = state.data.params if state and state.data else {}
    return dict(flatten(files.get("params.yaml", {}).get("data") or {}))


def flatten(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a section by their dotted keys."""
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _compare(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """What differs, with our values; None for keys that only they have."""
    here = {key: value for key, value in ours.items() if key not in theirs or value != theirs[key]}
    return here | {key: None for key in theirs if key not in ours}


def _outputs(state: ExpState | None) -> dict[str, str | None]:
    outputs = state.data.outs if state and state.data else {}
    return {path: out.hash for path, out in outputs.items() if path == "data/raw"}


def _code(state: ExpState | None) -> dict[str, str | None]:
    deps = state.data.deps if state and state.data else {}
    return {path: dep.hash for path, dep in deps.items() if path.startswith("pipeline/")}


def _differ(ours: dict[str, str | None], theirs: dict[str, str | None]) -> bool:
    """Whether they differ, as far as both are known."""
    known = [value for value in (*ours.values(), *theirs.values()) if value is not None]
    return bool(known) and ours != theirs


def _is_the_same(state: ExpState, earlier: ExpState | None) -> bool:
    """Whether a commit holds the results of the one before it."""
    return earlier is not None and _metrics(state) == _metrics(earlier)
