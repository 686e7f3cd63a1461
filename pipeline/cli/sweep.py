"""The command that searches settings, and writes what it found into params.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.console import print_line, print_table

if TYPE_CHECKING:
    from pipeline.sweeps.space import Space

_SUFFIXES = (".yaml", ".yml")


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
        typer.Option("--apply", help="Write the winner of this sweep into params.yaml."),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Members that are trained side by side. Without it: one per processor, or one "
            "where a GPU trains.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Search settings of params.yaml: some folds choose, the others confirm.

    Optuna proposes. A sweep that was interrupted goes on with the same command. Its trials, what
    was found and a page are next to the space file.
    """
    from pipeline.errors import Interruption
    from pipeline.sweeps import space as spaces

    if apply:
        if workers is not None:
            raise typer.BadParameter("--apply trains nothing: leave --workers out.")
        _apply(Path(space).stem if space.endswith(_SUFFIXES) else space)
        return
    path = Path(space) if space.endswith(_SUFFIXES) else spaces.SWEEPS / f"{space}.yaml"
    read = spaces.read(path)
    try:
        _run(read, workers)
    except KeyboardInterrupt:
        raise Interruption(
            f"finished epochs and trials are kept; go on with: digits sweep {space}"
        ) from None


def _run(space: Space, workers: int | None) -> None:
    from pipeline.params import Params
    from pipeline.sweeps import driver
    from pipeline.sweeps.jobs import Executor
    from pipeline.sweeps.local import LocalWorkers
    from pipeline.sweeps.record import Paths

    paths = Paths(space.name)

    def open_executor(at_once: int, base: Params) -> Executor:
        return LocalWorkers(paths.folder, at_once, base.train.batch_parts, workers)

    summary = driver.run(space, open_executor)
    for line in _describe(summary):
        print_line(line)
    print_line(f"\n{paths.table}: every trial")


def _describe(summary: dict[str, Any]) -> Iterator[str]:
    """The verdict in words."""
    outcomes = summary["outcomes"]
    stopped = ", ".join(f"{outcomes[name]} {name}" for name in ("stopped", "failed"))
    yield f"\n{summary['trials']} trials besides params.yaml as it is ({stopped})."
    if summary["verdict"] == "nothing":
        yield "Nothing found: no trial is better than params.yaml on the folds that choose."
        return
    print_table([_describe_folds(summary, kind) for kind in ("chosen", "confirmed")])


def _describe_folds(summary: dict[str, Any], kind: str) -> dict[str, str]:
    found = summary[kind]
    return {
        "folds": " ".join(map(str, found["folds"])),
        "errors before": f"{found['errors_before']:,}",
        "errors": f"{found['errors']:,}",
    }


def _apply(name: str) -> None:
    from pipeline import params, profiles
    from pipeline.sweeps.record import read_summary

    summary = read_summary(name)
    print(summary, params, profiles)
