"""Histories of several members as one table, and their mean."""

from collections.abc import Mapping

import pandas as pd

_VALIDATION = ["val_loss", "val_accuracy"]
"""Columns that a history lacks if the member had no validation set."""


def join_histories(histories: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join the members' ``history.csv``, and add the error rates.

    Args:
        histories: by the member's name, columns epoch, loss, accuracy and, with a validation set,
            val_loss and val_accuracy.

    Returns:
        The same columns, those of the validation set missing where a member had none, and member,
        error_rate and val_error_rate.
    """
    curves = pd.concat(
        [history.assign(member=name) for name, history in histories.items()], ignore_index=True
    )
    curves = curves.reindex(columns=curves.columns.union(_VALIDATION, sort=False))
    return curves.assign(
        error_rate=1 - curves["accuracy"], val_error_rate=1 - curves["val_accuracy"]
    )


def average_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over the members that were still training, epoch by epoch.

    Args:
        curves: from `join_histories`.

    Returns:
        Columns epoch, members, and ``_mean`` and ``_sd`` of loss, val_loss, error_rate and
        val_error_rate; the standard deviation of one member is missing.
    """
    epochs = curves.groupby("epoch")
    columns = {"members": epochs["member"].nunique()}
    for name in ("loss", "val_loss", "error_rate", "val_error_rate"):
        columns |= {f"{name}_mean": epochs[name].mean(), f"{name}_sd": epochs[name].std(ddof=1)}
    return pd.DataFrame(columns).reset_index()
