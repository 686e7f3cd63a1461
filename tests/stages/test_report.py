import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import metrics, stages
from pipeline.errors import ArtifactError
from pipeline.files import write_json, write_text
from pipeline.stages import report

SUMMARY = {
    "accuracy": 0.99512,
    "accuracy_low": 0.99339,
    "accuracy_high": 0.9964,
    "errors": 41,
    "n": 8400,
    "log_loss": 0.01901,
    "macro_f1": 0.99507,
    "expected_calibration_error": 0.00272,
    "train_accuracy": 0.99798,
    "judges_per_image": 1,
}


@pytest.fixture(params=[False, True], ids=["competition", "sample"])
def results(request: pytest.FixtureRequest, in_folder: Path) -> bool:
    """What evaluate and predict leave behind; whether it is of the sample."""
    sample = bool(request.param)
    confusions = np.diag(np.arange(10, 20))
    confusions[4, 9] = 3
    table = metrics.tabulate_digits(confusions)
    stages.EVALUATION.mkdir(parents=True)
    table.to_csv(stages.EVALUATION / "per_digit.csv", index=False)
    write_text(stages.EVALUATION / "per_digit.md", "| digit | wrong |\n| --- | --- |\n| 4 | 3 |\n")
    write_json(stages.EVALUATION / "metrics.json", SUMMARY)
    write_json(
        stages.SUBMISSION.with_suffix(".json"),
        {
            "sha256": "d" * 64,
            "rows": 28000,
            "provenance": {"sample": sample, "train_sha256": "a" * 64, "test_sha256": "b" * 64},
            "members": {"0-0-deep_cnn": "e" * 64, "1-0-deep_cnn": "f" * 64},
            "params_sha256": "0" * 64,
            "commit": None,
        },
    )
    for path, _, _ in report.PICTURES:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(path)
    return sample


class Page(HTMLParser):
    """The addresses that a page refers to, and its cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]


def test_page_needs_no_other_file(results: bool) -> None:
    report.main()
    addresses = Page(stages.REPORT.read_text()).addresses
    assert len(addresses) == len(report.PICTURES)
    assert all(address.startswith("data:image/png;base64,") for address in addresses)


def test_numbers_are_those_of_the_metrics(results: bool) -> None:
    report.main()
    for text in (stages.REPORT.read_text(), stages.MODEL_CARD.read_text()):
        for shown in ("99.51%", "99.34%", "99.64%", "99.80%", "0.0190", "8,400"):
            assert shown in text
    row = re.search(r'<th scope="row">4</th>(.*?)</tr>', stages.REPORT.read_text())
    assert row
    assert re.findall("<td>(.*?)</td>", row.group(1))[0:2] == ["3", "14"]
    assert "9 (3×)" in row.group(1)


def test_sample_is_announced_and_only_the_sample(results: bool) -> None:
    report.main()
    for text in (stages.REPORT.read_text(), stages.MODEL_CARD.read_text()):
        assert ("embedded sample" in text.lower()) == results


def test_missing_evaluation_is_named(results: bool) -> None:
    (stages.EVALUATION / "per_digit.csv").unlink()
    with pytest.raises(ArtifactError, match="per_digit.csv is missing"):
        report.main()
