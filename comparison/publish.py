"""Put the comparison's Markdown and figures into docs/comparison.md, between its two markers."""

import sys
from pathlib import Path

from comparison.settings import RESULTS
from comparison.summarize import SAMPLE_NOTICE
from pipeline.errors import ArtifactError, exit_status
from pipeline.files import write_text

BEGIN = "<!-- comparison: written by python -m comparison.publish -->"
END = "<!-- end of comparison -->"

PAGE = Path("docs/comparison.md")

_FIGURES = f"""\
![Accuracy over training time, by either recipe](../{RESULTS.as_posix()}/accuracy_over_time.png)

![Accuracy as held-out digits are shifted and turned](../{RESULTS.as_posix()}/robustness.png)
"""


def main() -> None:
    """Entry point of the command."""
    publish(RESULTS / "comparison.md", PAGE)
    print(f"{PAGE} holds the tables of comparison/results/comparison.md")


def publish(source: Path, page: Path) -> None:
    """Replace what stands between the markers in ``page`` by ``source`` and the figures.

    Raises:
        ArtifactError: there are no results, they are of the sample, or the markers are not there
            once each, in this order.
    """
    if not source.exists():
        raise ArtifactError(
            f"{source} is missing: the comparison writes it. Run: dvc repro comparison/dvc.yaml"
        )
    content = source.read_text(encoding="utf-8")
    if SAMPLE_NOTICE in content:
        raise ArtifactError(
            f"{source} is of the embedded sample, and {page} is about the competition's data. "
            "Put the archive into data/, then run: dvc repro comparison/dvc.yaml"
        )
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise ArtifactError(
            f"{page} has no room for the comparison: expected the lines {BEGIN!r} and {END!r} "
            "once each, in this order. Put them where the tables belong."
        )
    write_text(page, f"{before}{BEGIN}\n\n{content}\n{_FIGURES}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
