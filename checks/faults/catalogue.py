"""All steps by name; what some of them start from is made when it is asked for."""

from collections.abc import Collection, Sequence
from pathlib import Path

from checks.faults.running import Step

PARTS = ("source", "download", "submission", "log", "state")
STAGES = ("prepare", "train", "evaluate", "export", "predict", "explain", "embed", "report")
COMMANDS = ("digits-submit", "digits-compare", "digits-predict")
NAMES = (*PARTS, *STAGES, *COMMANDS)
"""Of all steps."""


def make_steps(
    names: Collection[str], folder: Path, runs: Sequence[Path] | None = None
) -> dict[str, Step]:
    """The steps of these names.

    Args:
        names: of `NAMES`.
        folder: for what they start from.
        runs: finished runs, as of `make_runs`; None: they are made where a step starts from them.
    """
    from checks.faults import steps

    wanted = {*names}
    found = {name: steps.STEPS[name] for name in names if name in PARTS}
    folder.mkdir(exist_ok=True)
    if wanted & {*STAGES, "digits-predict", "digits-compare"}:
        from checks.faults import stages

        runs = runs or make_runs(folder, with_other="digits-compare" in wanted)
        found |= {name: stages.make_step(name, runs) for name in STAGES if name in wanted}
    if wanted & {*COMMANDS}:
        from checks.faults import commands

        found |= commands.make_steps(wanted, folder, runs or ())
    return found


def make_runs(folder: Path, *, with_other: bool) -> list[Path]:
    """Two finished runs on different images, and a third on those of the second."""
    from checks.faults import stages

    runs, whole = [folder / "first", folder / "second", folder / "other"], folder / "whole"
    stages.make_run(runs[0], 0, whole)
    stages.make_run(runs[1], 1, whole)
    if with_other:
        stages.make_run(runs[2], 1, whole, learning_rate=0.01)
    return runs
