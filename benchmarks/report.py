"""From the out-of-fold predictions of all 42,000 images to the page: at most 20 s and 1.5 GB.

What evaluate and predict do after the networks, then explain and embed, which have no limit here,
then the report stage, each as a process of its own on the data of the last `dvc repro`. The
predictions are made up, with a given fraction of errors, most of them with the true digit as the
runner-up.

    python -m benchmarks.report            # 0.5 % errors, as of good networks
    python -m benchmarks.report 0.9        # a network that learned nothing
"""

import multiprocessing
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from pipeline import params, stages
from pipeline.data import dataset
from pipeline.data.dataset import NUM_CLASSES, Labels
from pipeline.files import sha256

MOST_SECONDS, MOST_GIGABYTES, MOST_MEGABYTES_OF_PAGE = 20, 1.5, 5
SEEDS = 3


def main() -> None:
    """Print the figures; exit 1 if they are beyond the limits."""
    fraction = float(sys.argv[1]) if len(sys.argv) > 1 else 0.005
    project = Path.cwd()
    with TemporaryDirectory() as name:
        os.chdir(name)
        prepare(project)
        context = multiprocessing.get_context("spawn")
        with context.Pool(1, maxtasksperchild=1) as pool:
            first = pool.apply(measure, (write_results, fraction))
            between = pool.apply(measure, (explain_results, fraction))
            second = pool.apply(measure, (write_page, fraction))
        page = stages.REPORT.stat().st_size / 1e6
        os.chdir(project)
    seconds, gigabytes = first[0] + second[0], max(first[2], between[2], second[2])
    stages_measured = {"evaluate, predict": first, "explain, embed": between, "report": second}
    for name, (wall, of_processors, peak) in stages_measured.items():
        print(f"{name}: {wall:.1f} s ({of_processors:.1f} s of processors), {peak:.2f} GB")
    print(f"{fraction:.1%} errors, page {page:.2f} MB")
    within = (
        seconds <= MOST_SECONDS and gigabytes <= MOST_GIGABYTES and page <= MOST_MEGABYTES_OF_PAGE
    )
    verdict = "within" if within else "BEYOND"
    print(f"without explain and embed {seconds:.1f} s: {verdict} the limits")
    sys.exit(not within)


def prepare(project: Path) -> None:
    """Lay out what the stages need, in the current folder."""
    shutil.copy(project / "params.yaml", "params.yaml")
    text = Path("params.yaml").read_text(encoding="utf-8").splitlines()
    text = [
        "  folds: [0, 1, 2, 3, 4]" if line.startswith("  folds: [")
        else f"  seeds: {list(range(SEEDS))}" if line.startswith("  seeds: [")
        else line
        for line in text
    ]  # fmt: skip
    Path("params.yaml").write_text("\n".join(text), encoding="utf-8")
    for path in (
        stages.TRAIN,
        stages.TEST,
        stages.SOURCE,
        stages.LABEL_CORRECTIONS,
        stages.DATA_REPORT,
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(project / path)


def measure(work: Callable[[float], None], fraction: float) -> tuple[float, float, float]:
    """Seconds that ``work`` takes, those of its processors, and the greatest memory in GB.

    Keras is imported before, as it is after the networks have predicted.
    """
    import_module("pipeline.networks.trained")
    start, start_of_processors = time.perf_counter(), time.process_time()
    work(fraction)
    seconds, of_processors = time.perf_counter() - start, time.process_time() - start_of_processors
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seconds, of_processors, peak / (1e9 if sys.platform == "darwin" else 1e6)


def write_results(fraction: float) -> None:
    """What evaluate and predict do once they have the predictions."""
    from pipeline.stages import predict
    from tests.results import write_evaluation, write_member

    data, test = dataset.load_labelled(stages.TRAIN), dataset.load_test(stages.TEST)
    settings = params.load()
    members = settings.members()
    for place, member in enumerate(members):
        write_member(member, data, seed=place)
    probabilities = predict_badly(data.labels, fraction)
    write_evaluation(data, probabilities, probabilities)
    labelled = probabilities[: len(test.images)]
    counts = np.bincount(data.labels, minlength=NUM_CLASSES)
    predict.write_report(stages.TEST_REPORT, test, labelled, labelled, counts)
    hashes = predict.hash_models([stages.MODELS / member.name for member in members])
    used = predict.Used(sha256(params.FILE), settings.neighbours, hashes)
    predict.write_submission(stages.SUBMISSION, used, test.provenance, labelled)


def explain_results(_: float) -> None:
    """What explain does, and embed with pixels for features."""
    from pipeline.stages import explain
    from tests.results import write_map

    explain.main()
    write_map(dataset.load_labelled(stages.TRAIN), images=4_500)


def write_page(_: float) -> None:
    """The report stage."""
    from pipeline.stages import report

    report.main()


def predict_badly(labels: Labels, fraction: float) -> NDArray[np.float64]:
    """Probabilities ``(n, 10)`` with errors in a fraction of the images, some of them confident."""
    generator = np.random.default_rng(0)
    n = len(labels)
    confidence = 1 - 0.5 * generator.beta(0.1, 4, n)
    probabilities = generator.dirichlet(np.full(NUM_CLASSES, 0.2), n) * (1 - confidence)[:, None]
    predicted = labels.astype(np.intp)
    errors = generator.random(n) < fraction
    predicted[errors] = (
        predicted[errors] + generator.integers(1, NUM_CLASSES, errors.sum())
    ) % NUM_CLASSES
    confidence[errors] = generator.uniform(0.5, 1, errors.sum())
    probabilities[errors] = 1e-4 * generator.random((int(errors.sum()), NUM_CLASSES))
    probabilities[np.arange(n), labels] += np.where(errors, 1 - confidence, 0)
    probabilities[np.arange(n), predicted] += confidence
    normalized: NDArray[np.float64] = probabilities / probabilities.sum(axis=1, keepdims=True)
    return normalized


if __name__ == "__main__":
    main()
