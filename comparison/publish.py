"""Put the comparison's tables and figures into its page, between the two markers there."""

import re
import sys
from pathlib import Path

from comparison.settings import RESULTS
from comparison.wording import SAMPLE_NOTICE
from pipeline.errors import ArtifactError, exit_status
from pipeline.files import write_text
from pipeline.project import FOLDER

BEGIN = "<!-- comparison: written by python -m comparison.publish -->"
END = "<!-- end of comparison -->"

PAGE = FOLDER / "docs/comparison.md"

_FIGURE = re.compile(r"\]\((\w+\.png)\)")
"""A picture that lies next to the tables."""


def main() -> None:
    """Entry point of the command."""
    source = RESULTS / "comparison.md"
    publish(source, PAGE)
    print(f"{PAGE} holds the tables of {source}")


def publish(source: Path, page: Path) -> None:
    """Replace what stands between the markers in ``page`` by ``source``, which lies in `RESULTS`.

    Raises:
        ArtifactError: there are no results, they are of the sample, or the markers are not there
            once each, in this order.
    """
    if not source.exists():
        raise ArtifactError(
            f"{source} is missing: the comparison writes it. Run: dvc --cd comparison repro"
        )
    content = source.read_text(encoding="utf-8")
    if SAMPLE_NOTICE in content:
        raise ArtifactError(
            f"{source} is of the embedded sample, and {page} is about the competition's data. Put "
            "the archive into data/, then run: dvc repro prepare && dvc --cd comparison repro"
        )
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in after:
        raise ArtifactError(
            f"{page} has no room for the comparison: expected the lines {BEGIN!r} and {END!r} "
            "once each, in this order. Put them where the tables belong."
        )
    shown = _FIGURE.sub(r"](../comparison/results/\1)", content)
    write_text(page, f"{before}{BEGIN}\n\n{shown}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
