"""The command that searches settings, and writes what it found into params.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline import stages
from pipeline.cli.console import print_difference, print_line, print_table
from pipeline.wording import counted, points

if TYPE_CHECKING:
    from pipeline.data.dataset import TrainingDigits
    from pipeline.sweeps.space import Space

_SUFFIXES = (".yaml", ".yml")
_STYLES = {"better": "green", "worse": "red", "open": "yellow", "nothing": "yellow"}


def sweep(
    space: Annotated[
        str,
        typer.Argument(
            metavar="SPACE",
            help="A space file such as sweeps/main-knobs.yaml, or its name: main-knobs.",
        ),
    ],
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Write what this sweep found into params.yaml."),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train so many networks side by side. Without it: one per processor, or one where "
            "a GPU trains.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Search settings of params.yaml: some folds choose, the others confirm.

    Optuna proposes. After an interruption the same command goes on. A table of all trials, what was
    found and a page go into the folder sweeps.
    """
    from pipeline.errors import Interruption
    from pipeline.sweeps import space as spaces

    is_path = space.endswith(_SUFFIXES)
    if apply:
        if workers is not None:
            raise typer.BadParameter("--apply trains nothing: leave --workers out.")
        _apply(Path(space).stem if is_path else space)
        return
    if workers is not None and os.environ.get("RAY_ADDRESS"):
        raise typer.BadParameter(
            "--workers is for this machine: leave it out, or run before: unset RAY_ADDRESS"
        )
    read = spaces.read(Path(space) if is_path else spaces.SWEEPS / f"{space}.yaml")
    try:
        _run(read, workers)
    except KeyboardInterrupt:
        raise Interruption(
            f"finished epochs and trials are kept. To go on, run: digits sweep {space}"
        ) from None


def _run(space: Space, workers: int | None) -> None:
    from pipeline.report import sweep as report
    from pipeline.stored import read_table
    from pipeline.sweeps import search
    from pipeline.sweeps.files import Paths
    from pipeline.sweeps.jobs import Executor
    from pipeline.sweeps.local import LocalWorkers

    paths, most_threads = Paths(space.name), space.base.train.batch_parts

    def open_executor(at_once: int, data: TrainingDigits) -> Executor:
        if address := os.environ.get("RAY_ADDRESS"):
            from pipeline.sweeps.nodes import ClusterNodes

            return ClusterNodes(address, data, at_once, most_threads)
        return LocalWorkers(paths.folder, at_once, most_threads, workers)

    summary = search.run(space, open_executor)
    report.write_page(paths.page, summary, read_table(paths.table), stages.SAMPLE_NOTICE)
    _print(summary)
    print_line(f"\n{paths.page}: the trials in pictures; {paths.table}: as a table")


def _print(summary: dict[str, Any]) -> None:
    """Print what was found."""
    measure = summary["minimize"].replace("_", " ")
    outcomes = summary["outcomes"]
    ends = [f"{outcomes[name]} {name}" for name in outcomes if outcomes[name]]
    print_line(f"\n{counted(summary['trials'], 'trial')}: {', '.join(ends)}")
    verdict = _describe_verdict(summary)
    if summary["verdict"] == "nothing":
        print_line(verdict, _STYLES["nothing"])
        return
    print_line(f"Trial {summary['winner']} has the lowest {measure} on the folds that choose.\n")
    print_table([_describe_folds(summary, kind) for kind in ("chosen", "confirmed")], text={""})
    print_line("")
    print_line(verdict, _STYLES[summary["verdict"]])
    print_line(
        f"Optimism: {points(summary['optimism'])} points. By so much the difference is larger on "
        "the folds that choose.\n"
    )
    print_table(
        [
            {
                "setting": each["key"],
                "params.yaml": str(each["before"]),
                f"trial {summary['winner']}": str(each["after"]),
            }
            for each in summary["keys"]
        ],
        text={"setting"},
    )
    print_line(f"\nTo write it into params.yaml, run: digits sweep --apply {summary['name']}")


def _describe_folds(summary: dict[str, Any], kind: str) -> dict[str, str]:
    found = summary[kind]
    role = {"chosen": "choose", "confirmed": "confirm"}[kind]
    return {
        "": f"folds {' '.join(map(str, found['folds']))} {role}",
        "images": f"{found['images']:,}",
        "errors before": f"{found['errors_before']:,}",
        "after": f"{found['errors']:,}",
        "difference": points(found["difference"]),
        "95 % interval": f"{points(found['low'])} to {points(found['high'])}",
        "log loss before": f"{found['log_loss_before']:.5f}",
        "log loss after": f"{found['log_loss']:.5f}",
    }


def _describe_verdict(summary: dict[str, Any]) -> str:
    """What the folds that confirm say, in one line."""
    if summary["verdict"] == "nothing":
        return "Nothing found: on the folds that choose, no trial is better than params.yaml."
    interval = (
        f"95 % interval {points(summary['confirmed']['low'])} to "
        f"{points(summary['confirmed']['high'])} points of accuracy"
    )
    return {
        "better": f"Confirmed: better than params.yaml on the other folds, {interval}.",
        "worse": f"Not confirmed: worse than params.yaml on the other folds, {interval}.",
        "open": "Not confirmed: no better than params.yaml on the other folds. Zero is in the "
        f"{interval}.",
    }[summary["verdict"]]


def _apply(name: str) -> None:
    """Write what a sweep found into params.yaml, and say what that is worth."""
    from pipeline import params, profiles
    from pipeline.sweeps.record import read_summary

    summary = read_summary(name)
    if summary["verdict"] == "nothing":
        print_line(f"{_describe_verdict(summary)} params.yaml stays as it is.")
        return
    changes = profiles.write(list(_list_values(summary["keys"])), params.FILE)
    print_difference(changes)
    print_line(_describe_verdict(summary), _STYLES[summary["verdict"]])
    print_line(
        f"{params.FILE} holds trial {summary['winner']} of {name} now; run it with: dvc repro. "
        f"Undo: git checkout {params.FILE}"
        if changes
        else f"{params.FILE} held trial {summary['winner']} of {name} already"
    )


def _list_values(keys: list[dict[str, Any]]) -> Iterator[tuple[str, str, Any]]:
    """Section, key and value of what was found; networks as a whole.

    Raises:
        ParamsError: params.yaml has no such network any more.
    """
    from pipeline import params
    from pipeline.errors import ParamsError

    networks = params.load_file().model_dump()["networks"]
    changed = {}
    for each in keys:
        section, key, *part = each["key"].split(".")
        if not part:
            yield section, key, each["after"]
            continue
        if key not in networks:
            raise ParamsError(
                f"{params.FILE} has no network {key} any more, of which the sweep found a better "
                f"{part[0]}. Bring it back, then run the same command again. Nothing was changed."
            )
        networks[key][part[0]] = each["after"]
        changed[key] = networks[key]
    for key, network in changed.items():
        yield "networks", key, network
