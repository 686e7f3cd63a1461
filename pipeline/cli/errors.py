"""The command that shows which held-back images were misread."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline import stages
from pipeline.cli.console import console, print_table
from pipeline.errors import ArtifactError

if TYPE_CHECKING:
    import pandas as pd


def errors(
    against: Annotated[
        str | None,
        typer.Option(
            metavar="REV", help="Show what became right and wrong since this commit or experiment."
        ),
    ] = None,
) -> None:
    """Show the errors per digit on held-back images."""
    from pipeline import params
    from pipeline.evaluation import metrics
    from pipeline.files import missing_artifact, read_json

    path = stages.EVALUATION / "out_of_fold.npz"
    if not path.exists():
        raise missing_artifact(path)
    if against is not None:
        _show_changes(path, against)
        return
    current = _read_predictions(path)
    listed = {member.name for member in params.load().evaluated_members()}
    confusions = metrics.count_confusions(
        current["predicted"].to_numpy(), current["true"].to_numpy()
    )
    rows = metrics.describe_digits(metrics.tabulate_digits(confusions))
    summary = read_json(stages.EVALUATION / "metrics.json")
    interval = f"{summary['accuracy_low']:.2%} – {summary['accuracy_high']:.2%}"
    title = (
        f"{summary['errors']:,} of {summary['n']:,} held-back images misread: accuracy "
        f"{summary['accuracy']:.2%}, 95 % interval {interval}"
    )
    print_table(rows, title)
    if listed != set(read_json(stages.EVALUATION / "members.json")):
        console.print("params.yaml lists other networks than those judged here: dvc repro")


def _show_changes(path: Path, revision: str) -> None:
    """Compare the out-of-fold predictions with those of another revision, image by image."""
    from pipeline.data.dataset import NUM_CLASSES

    now, before = _read_predictions(path), _read_predictions(path, revision)
    both = now.merge(before.drop(columns="true"), on=["row", "data"], suffixes=("", "_before"))
    if both.empty:
        raise ArtifactError(
            f"Nothing can be compared with {revision}: no image was held back both then and now. "
            "Compare runs that share data, seed and folds (and not one on the sample)."
        )
    right, right_before = (
        both["predicted"] == both["true"],
        both["predicted_before"] == both["true"],
    )
    mended, broken = both[right & ~right_before], both[~right & right_before]
    rows = [
        {
            "digit": str(digit),
            "became right": str((mended["true"] == digit).sum()),
            "became wrong": str((broken["true"] == digit).sum()),
            "wrong before": str((~right_before & (both["true"] == digit)).sum()),
            "wrong now": str((~right & (both["true"] == digit)).sum()),
        }
        for digit in range(NUM_CLASSES)
    ]
    title = f"{len(mended)} became right and {len(broken)} wrong since {revision}, of {len(both):,}"
    print_table(rows, title)
    for name, changed in (("became right", mended), ("became wrong", broken)):
        listed = ", ".join(
            f"{image.row} ({image.true}: {image.predicted_before} → {image.predicted})"
            for image in changed.itertuples()
        )
        console.print(
            f"{name}, as row of train.csv (true: then → now): {listed or 'none'}", highlight=False
        )


def _read_predictions(path: Path, revision: str | None = None) -> pd.DataFrame:
    """Columns data, row, true and predicted, from the workspace or as DVC kept a revision's."""
    import numpy as np
    import pandas as pd

    from pipeline.files import is_corruption

    if revision is None:
        content = path.read_bytes()
    else:
        import dvc.api
        from dvc.exceptions import DvcException
        from scmrepo.exceptions import SCMError

        try:
            content = dvc.api.read(str(path), rev=revision, mode="rb")
        except (DvcException, SCMError, FileNotFoundError) as error:
            reason = str(error).rstrip(".")
            raise ArtifactError(
                f"The predictions of {revision} are not at hand: {reason}. Expected a commit whose "
                "dvc.lock was committed after dvc repro, or the name of an experiment (dvc exp "
                "show), with its results still in DVC's cache."
            ) from None
    try:
        with np.load(BytesIO(content), allow_pickle=False) as arrays:
            return pd.DataFrame(
                {
                    "data": str(arrays["train_sha256"]),
                    "row": arrays["rows"],
                    "true": arrays["labels"],
                    "predicted": arrays["probabilities"].argmax(axis=1),
                }
            )
    except Exception as error:
        if not is_corruption(error):
            raise
        raise ArtifactError(
            f"{path} is damaged: {error}. Bring it back with: dvc checkout --force {path}"
        ) from None
