"""A process that trains members for a sweep on this machine, one after another.

``python -m pipeline.sweeps.worker DESCRIPTOR STATES THREADS`` reads jobs from standard input and
writes events to the descriptor, both pickled. What trainings print goes to standard output. It ends
when standard input does: the process of the sweep is then gone.
"""

import os
import pickle
import sys
from pathlib import Path
from queue import SimpleQueue
from socket import gethostname
from threading import Thread

from pipeline import stages
from pipeline.data import dataset
from pipeline.errors import PipelineError, exit_status
from pipeline.networks.backend import use_threads
from pipeline.networks.devices import Gpu, take_device
from pipeline.sweeps.fitting import StopAsked, fit_member
from pipeline.sweeps.jobs import Epoch, Event, Failed, Finished, Job, Stopped


def main() -> None:
    """Do jobs until standard input ends."""
    descriptor, states, threads = sys.argv[1:]
    os.set_inheritable(int(descriptor), False)
    jobs: SimpleQueue[tuple[int, Job]] = SimpleQueue()
    stopped: set[int] = set()
    Thread(target=_receive, args=(jobs, stopped), daemon=True).start()
    with os.fdopen(int(descriptor), "wb") as events:

        def tell(event: Event | Gpu | None) -> None:
            pickle.dump(event, events)
            events.flush()

        device, _ = take_device()
        use_threads(int(threads))
        data = dataset.load_labelled(stages.TRAIN)
        tell(device.gpu)
        while True:
            number, job = jobs.get()

            def tell_epoch(epoch: Epoch, number: int = number) -> None:
                tell(epoch)
                if number in stopped:
                    raise StopAsked

            try:
                content = fit_member(job, data, Path(states), device, gethostname(), tell_epoch)
            except StopAsked:
                tell(Stopped(job.key))
            except PipelineError as error:
                tell(Failed(job.key, str(error)))
            else:
                tell(Finished(job.key, content))


def _receive(jobs: "SimpleQueue[tuple[int, Job]]", stopped: set[int]) -> None:
    """Take in numbered jobs, and numbers of jobs to stop.

    Not by `sys.stdin`: Python closes that when the process ends, and aborts where another thread
    reads it.
    """
    standard_input = open(0, "rb", closefd=False)  # noqa: SIM115 - as long as the process
    while True:
        try:
            received = pickle.load(standard_input)
        except EOFError:
            os._exit(0)
        if isinstance(received, int):
            stopped.add(received)
        else:
            jobs.put(received)


if __name__ == "__main__":
    sys.exit(exit_status(main))
