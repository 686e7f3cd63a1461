"""The driver: have the nodes of a cluster train members.

``python -m pipeline.cluster.driver`` is a process of its own, without TensorFlow: Ray and
TensorFlow in one process crash now and then when Ray is shut down.
"""

import os
import pickle
import sys
from dataclasses import replace
from functools import partial

from pipeline import progress
from pipeline.cluster.connection import connected, count_node_processors
from pipeline.cluster.display import ClusterDisplay
from pipeline.cluster.orders import Batch
from pipeline.cluster.received import store
from pipeline.cluster.scheduler import train_on_nodes
from pipeline.data import dataset
from pipeline.errors import PipelineError
from pipeline.parallel import end_with_helped
from pipeline.wording import counted


def main() -> None:
    """Train a `Batch` that standard input holds, until it ends; for `driver_process.train_batch`.

    What it comes to is written, pickled, to the descriptor that the command names: the failed
    members, or an error.
    """
    reports = os.fdopen(int(sys.argv[1]), "wb", buffering=0)
    os.set_inheritable(reports.fileno(), False)
    batch: Batch = pickle.load(sys.stdin.buffer)
    end_with_helped()
    try:
        with connected(batch.address):
            # Before Ray is shut down, which may crash.
            pickle.dump(_train(batch), reports)
    except (PipelineError, OSError) as error:
        pickle.dump(error, reports)


def _train(batch: Batch) -> dict[str, str]:
    data = dataset.load_training(batch.data)
    processors, largest = count_node_processors()
    threads = min(batch.most_threads, largest, processors // min(processors, len(batch.orders)))
    progress.print_line(
        f"{counted(len(batch.orders), 'member')} for the cluster at {batch.address}: "
        f"{counted(processors, 'processor')}, {threads} for each member"
    )
    orders = [replace(order, threads=threads) for order in batch.orders]
    with ClusterDisplay({order.name: order.last_epoch for order in orders}) as display:
        return train_on_nodes(orders, data, partial(store, batch.states), display)


if __name__ == "__main__":
    main()
