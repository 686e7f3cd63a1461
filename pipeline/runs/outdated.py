"""What `dvc repro` would run, asked of DVC itself."""

from __future__ import annotations

import errno
import json
import logging
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import git, stages
from pipeline.errors import DvcBusyError, DvcError, ParamsError, PipelineError
from pipeline.files import is_running
from pipeline.project import FOLDER

if TYPE_CHECKING:
    from pipeline.params import Params

LOCK = FOLDER / ".dvc/tmp/rwlock"
"""In which DVC notes who reads and writes what; a killed one leaves it."""

_SHOWN_CHANGES = 2
_STATES = {"deleted": "is missing", "not in cache": "is not in DVC's cache"}
"""What to say of a file, by DVC's word for it; every other one is a change."""


def find_outdated(settings: Params) -> dict[str, list[str]]:
    """The stages that the next `dvc repro` runs first; what follows from them may run as well.

    Returns:
        For each stage what changed since it ran, in the order of ``dvc.yaml``; an empty list where
        it has not run yet.

    Raises:
        DvcError: DVC is busy, or does not work here.
    """
    if running := find_running():
        raise DvcBusyError(f"DVC is running: {running}")
    with readable_dvc_errors():
        from dvc.repo import Repo, lock_repo

        # `Repo.status` would read dvc.lock, and `Repo.index` a second time.
        with Repo(str(FOLDER)) as repo, lock_repo(repo):
            found: dict[str, Any] = {}
            never_run = set()
            for stage in repo.stage.load_all(str(FOLDER / "dvc.yaml")):
                found |= stage.status(check_updates=True)
                if stage.deps and not any(dep.hash_info for dep in stage.deps):
                    never_run.add(stage.addressing)
    reasons = {
        address.rpartition(":")[2]: (
            [] if address in never_run else list(_describe_changes(changes))
        )
        for address, changes in found.items()
    }
    reasons.pop("source", None)  # it runs each time; what it would find is asked here
    found_here = _describe_networks(settings) | _describe_labels() | _describe_source(settings)
    for stage, change in found_here.items():
        if reasons.get(stage) != []:
            reasons.setdefault(stage, []).insert(0, change)
    return reasons


def decides_score(reasons: Mapping[str, list[str]]) -> bool:
    """Whether a stage is out of date from which the score follows."""
    names = {stage.partition("@")[0] for stage in reasons}
    return not names.isdisjoint({"source", "download", "prepare", "train", "evaluate"})


def group_outdated(reasons: Mapping[str, list[str]]) -> list[str]:
    """One line for all stages of which the same is said."""
    alike: dict[str, list[str]] = {}
    for stage, changes in reasons.items():
        said = "; ".join(changes[:_SHOWN_CHANGES]) or "not run yet"
        more = len(changes) - _SHOWN_CHANGES
        alike.setdefault(f"{said}; and {more} more" if more > 0 else said, []).append(stage)
    return [f"{', '.join(_abridge(names))}: {said}" for said, names in alike.items()]


def _abridge(names: list[str]) -> list[str]:
    """The stages, those of several networks as one."""
    networks = [name for name in names if name.startswith("train@")]
    if len(networks) < 2:
        return names
    others = [name for name in names if name not in networks]
    return [f"train@… ({len(networks)} networks)", *others]


def _find_conflict() -> str | None:
    """That Git left its marks in a file that DVC reads, or nothing at all; None if it did not."""
    for name in ("dvc.lock", "dvc.yaml"):
        with suppress(OSError):
            content = (FOLDER / name).read_bytes()
            if not content.strip():
                return f"{name} is empty. Bring it back with: git checkout {name}"
            if re.search(rb"^(?:<{7}|>{7}) ", content, re.MULTILINE):
                return (
                    f"{name} holds both sides of a conflict. Take one, and run what is out of "
                    f"date: git checkout --ours {name} && dvc repro"
                )
    return None


def find_running() -> str:
    """The command of DVC that runs in this project, and its process; empty if none does."""
    try:
        locks = json.loads(LOCK.read_text(encoding="utf-8"))
        holders = locks["write"].values()
        for pid, command in {holder["pid"]: holder["cmd"] for holder in holders}.items():
            if is_running(pid):
                program, _, arguments = command.partition(" ")
                return f"{Path(program).name} {arguments} (process {pid})".replace("  ", " ")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass  # nothing has locked anything, or in a way that only DVC knows
    return ""


def _describe_source(settings: Params) -> dict[str, str]:
    """What the source stage would decide differently; DVC sees it only once the stage has run."""
    from pipeline.data.sources import decision
    from pipeline.stages.source import decide, describe

    if not stages.SOURCE.exists():
        return {}
    earlier = decision.read(stages.SOURCE)
    try:
        source = decide(settings.source, earlier)
    except PipelineError as error:
        return {"source": str(error)}
    return {} if source == earlier else {"download": f"the data comes from {describe(source)}"}


def _describe_labels() -> dict[str, str]:
    """Whether ``labels.csv`` differs from what the source stage last made of it."""
    from pipeline.data import label_corrections
    from pipeline.files import sha256
    from pipeline.stages.source import find_labels

    if not stages.LABEL_CORRECTIONS.exists():
        return {}
    used = label_corrections.read(stages.LABEL_CORRECTIONS)
    path = find_labels()
    if path is None:
        return {"prepare": f"{stages.LABELS} is gone"} if used else {}
    if not path.is_file() or used is None or sha256(path) != used.sha256:
        return {"prepare": f"{stages.LABELS} is {'another' if used else 'new'}"}
    return {}


def _describe_networks(settings: Params) -> dict[str, str]:
    """Members whose network differs from what the source stage last wrote down of it."""
    from pipeline.data.sources import decision
    from pipeline.data.sources.decision import SampleSource
    from pipeline.files import read_json
    from pipeline.networks.definition import check_network, describe_network

    changes = {}
    on_sample = stages.SOURCE.exists() and isinstance(decision.read(stages.SOURCE), SampleSource)
    sample_epochs = settings.source.sample_epochs if on_sample else None
    for member in settings.members():
        written = stages.NETWORKS / f"{member.network}.json"
        network = settings.networks[member.network]
        try:
            check_network(member.network, network)
        except ParamsError as error:
            return {"source": str(error)}
        described = read_json(written) if written.exists() else None
        if described != describe_network(network, sample_epochs):
            changes[f"train@{member.name}"] = f"network {member.network} changed"
    return changes


def _describe_changes(changes: list[Any]) -> Iterator[str]:
    """What changed, from DVC's entries for a stage."""
    for change in changes:
        if change == "changed command":
            yield "its command changed"
        elif isinstance(change, dict):
            for states in change.values():
                for path, state in states.items():
                    if isinstance(state, dict):  # params.yaml, by key
                        yield f"{path} ({', '.join(state)}) changed"
                    else:
                        yield f"{path} {_STATES.get(state, 'changed')}"


@contextmanager
def readable_dvc_errors() -> Iterator[None]:
    """Turn the errors of DVC and of Git into one of ours, and keep their logs quiet."""
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.rwlock import RWLockFileCorruptedError
    from scmrepo.exceptions import SCMError

    logger = logging.getLogger("dvc")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except LockError:
        raise DvcBusyError(f"DVC is running: {find_running() or 'another process'}") from None
    except RWLockFileCorruptedError:
        raise DvcError(
            "DVC's list of locks is damaged, as after a full disk. If no DVC runs, delete it: rm "
            f"{LOCK}"
        ) from None
    except RecursionError:
        raise DvcError(
            "A file of DVC's is damaged, probably dvc.lock: it is nested too deep. Bring it back "
            "with: git checkout dvc.lock"
        ) from None
    except sqlite3.Error as error:
        raise DvcError(
            f"DVC's own database cannot be used: {error}. Look whether the disk is full, or lets "
            "no one write, then run the command again."
        ) from None
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise DvcError(
            f"DVC cannot use {error.filename or 'this project'}: {error.strerror}. It needs a "
            "project that it may write into, such as a copy of your own."
        ) from None
    except (DvcException, SCMError, ValueError) as error:
        fault = _find_conflict() or git.find_fault(FOLDER)
        if fault is None and isinstance(error, ValueError):
            raise
        reason = " ".join(str(error).split())
        if reason.endswith("is not a git repository"):
            reason = (
                "this folder is in no Git repository, which DVC expects. Run make, which tells DVC "
                "so, or put the project under Git: git init"
            )
        raise DvcError(fault or reason) from None
    finally:
        logger.setLevel(level)
