"""What a node of a cluster does for a sweep.

A node reads this before it is known to have the project's packages.
"""

from typing import Any

from pipeline.cluster.node import do_order
from pipeline.cluster.orders import Order, Outcome


def train_for_trial(order: Order, data: list[Any], mailbox: Any) -> Outcome:
    """Train a member of a trial; a task of Ray's, as `do_order` describes it."""
    return do_order(order, data, mailbox, "pipeline.sweeps.fitting")
