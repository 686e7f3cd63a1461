"""The command that shows the errors on held-out images, and how they differ from an earlier run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline import stages
from pipeline.cli.console import print_line, print_table
from pipeline.cli.standing import find_changed
from pipeline.errors import ArtifactError
from pipeline.wording import counted

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.evaluation.predictions import OutOfFoldPredictions

PATH = stages.EVALUATION / "out_of_fold.npz"


def errors(
    against: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Compare with this commit or experiment."),
    ] = None,
) -> None:
    """Show the errors per digit on held-out images."""
    from pipeline.evaluation import metrics, predictions

    current = predictions.load(PATH)
    if against is not None:
        _compare(current, _read_revision(against), against)
        return
    confusions = metrics.count_confusions(current.predicted, current.labels)
    summary = metrics.summarize(current.probabilities, current.labels)
    title = (
        f"{counted(summary['errors'], 'error')} in "
        f"{counted(summary['n'], 'held-out image')}: accuracy "
        f"{summary['accuracy']:.2%}, 95 % interval {summary['accuracy_low']:.2%} – "
        f"{summary['accuracy_high']:.2%}"
    )
    print_table(metrics.describe_digits(metrics.tabulate_digits(confusions)), title)
    if note := _describe_difference(current.members):
        print_line(note)


def _describe_difference(evaluated: dict[str, str]) -> str:
    """How the networks in params.yaml and models/ differ from the evaluated ones, if they do."""
    from pipeline import params

    listed = {member.name for member in params.load().evaluated_members()}
    if listed != set(evaluated):
        return "params.yaml lists other networks than were evaluated. Run: dvc repro"
    if changed := find_changed(evaluated):
        return f"Not evaluated yet as they are now: {', '.join(changed)}. Run: dvc repro"
    return ""


def _compare(current: OutOfFoldPredictions, earlier: OutOfFoldPredictions, revision: str) -> None:
    """Print how the predictions differ from earlier ones, image by image."""
    from pipeline.data.dataset import NUM_CLASSES
    from pipeline.evaluation.paired import compare_paired

    both = _tabulate(current).merge(
        _tabulate(earlier).drop(columns="true"), on=["row", "data"], suffixes=("", "_before")
    )
    if both.empty:
        raise ArtifactError(
            f"No image was held out both now and in {revision}: nothing can be compared. Compare "
            "runs on the same data with the same seed and folds (the sample is other data)."
        )
    correct, correct_before = (
        both[name] == both["true"] for name in ("predicted", "predicted_before")
    )
    comparison = compare_paired(correct.to_numpy(), correct_before.to_numpy())
    title = (
        f"accuracy {correct.mean():.2%} now, {correct_before.mean():.2%} in {revision}, on the "
        f"{len(both):,} images held out in both"
    )
    corrected, new = both[correct & ~correct_before], both[~correct & correct_before]
    rows = [
        {
            "digit": str(digit),
            "corrected": str((corrected["true"] == digit).sum()),
            "new errors": str((new["true"] == digit).sum()),
            "errors before": str((~correct_before & (both["true"] == digit)).sum()),
            "errors now": str((~correct & (both["true"] == digit)).sum()),
        }
        for digit in range(NUM_CLASSES)
    ]
    print_table(rows, title)
    lines = [
        f"difference {100 * comparison.difference:+.2f} percentage points (95 % interval "
        f"{100 * comparison.low:+.2f} to {100 * comparison.high:+.2f}); {comparison.gained} "
        f"corrected, {comparison.lost} new errors; McNemar's exact test: p = "
        f"{comparison.p_value:.2g}: "
        f"{'could be chance' if comparison.could_be_chance else 'unlikely to be chance'}"
    ]
    for name, changed in (("corrected", corrected), ("new errors", new)):
        listed = ", ".join(
            f"{image.row} ({image.true}: {image.predicted_before} → {image.predicted})"
            for image in changed.itertuples()
        )
        lines.append(f"{name}, by row of train.csv (true: before → now): {listed or 'none'}")
    for line in lines:
        print_line(line)


def _tabulate(predictions: OutOfFoldPredictions) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "data": predictions.train_sha256,
            "row": predictions.rows,
            "true": predictions.labels,
            "predicted": predictions.predicted,
        }
    )


def _read_revision(revision: str) -> OutOfFoldPredictions:
    """The predictions of a commit or an experiment, from DVC's cache.

    Raises:
        ArtifactError: they are not at hand; with the cure.
    """
    from contextlib import closing

    import dvc.api
    from dvc.exceptions import DvcException
    from dvc.scm import RevError, resolve_rev
    from pygit2 import GitError
    from scmrepo.exceptions import SCMError
    from scmrepo.git import Git

    from pipeline.evaluation import predictions

    try:
        git = Git(".")
    except SCMError:
        raise ArtifactError(
            "--against compares with a commit, but this folder is in no Git repository. Put the "
            "project under Git before the next run: git init && git add . && git commit"
        ) from None
    with closing(git):
        if git.no_commits:
            raise ArtifactError(
                "There is no commit yet to compare with. Commit this run, then compare the next "
                "one with it: git add . && git commit"
            )
        try:
            resolve_rev(git, revision)
            place = os.path.relpath(PATH, git.root_dir)
            content = dvc.api.read(Path(place).as_posix(), rev=revision, mode="rb")
        except GitError:
            raise ArtifactError(
                f"Git does not read {git.root_dir}, because another user owns it. Allow it with: "
                f"git config --global --add safe.directory {git.root_dir}"
            ) from None
        except (SCMError, RevError):
            raise ArtifactError(
                f"{revision} is no commit, branch, tag or experiment. See: git log --oneline, "
                "dvc exp show"
            ) from None
        except (DvcException, FileNotFoundError):
            raise ArtifactError(
                f"The predictions of {revision} are not at hand: expected a commit made after dvc "
                "repro, with its dvc.lock, and its results in DVC's cache (from a remote: dvc "
                "fetch --all-commits)."
            ) from None
    return predictions.parse(content, name=f"{PATH} of {revision}")
