"""Notebooks at Kaggle through the real client: the very version is asked for, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import KaggleError
from pipeline.kaggle.client import OutcomeUnknownError
from pipeline.kaggle.kernel import LogLine, RunStatus, Version, read_log
from pipeline.kaggle.kernels import Kernels
from tests.kaggle_fixtures import QUICK
from tests.kaggle_kernels import Run
from tests.kaggle_server import KEY, TOKEN, USERNAME, Fault, Kaggle

KERNEL = f"{USERNAME}/my-digits"
FIRST = Version(KERNEL, 1)


@pytest.fixture
def kernels(kaggle: Kaggle, kaggle_project: Path) -> Kernels:
    return Kernels(QUICK)


def make_folder(text: str = "mark 1", title: str = "My digits", kernel: str = KERNEL) -> Path:
    """A folder to send; its only cell is ``text``."""
    folder = Path("kernel")
    folder.mkdir(exist_ok=True)
    cell = {"cell_type": "code", "metadata": {}, "source": [text], "outputs": []}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    metadata = {
        "id": kernel,
        "title": title,
        "code_file": "notebook.ipynb",
        "language": "python",
        "kernel_type": "notebook",
    }
    (folder / "notebook.ipynb").write_text(json.dumps(notebook))
    (folder / "kernel-metadata.json").write_text(json.dumps(metadata))
    return folder


def push(kernels: Kernels, text: str = "mark 1", earlier: int = 0) -> Version:
    return kernels.push(make_folder(text), KERNEL, text, earlier)


def test_notebook_that_is_not_there_is_none(kernels: Kernels) -> None:
    assert kernels.read(KERNEL) is None
    assert kernels.find(KERNEL, "mark", 0) is None


def test_versions_are_numbered_and_read_one_by_one(kernels: Kernels) -> None:
    assert push(kernels) == FIRST
    assert push(kernels, "mark 2", 1) == Version(KERNEL, 2)
    newest, first = kernels.read(KERNEL), kernels.read(KERNEL, 1)
    assert newest and "mark 2" in newest.source and newest.newest == 2
    assert first and "mark 1" in first.source and first.newest == 2
    assert kernels.read(KERNEL, 3) is None


def test_version_is_found_by_its_mark_after_an_earlier_one(kernels: Kernels) -> None:
    for earlier, text in enumerate(["mark 1", "mark 1", "other"]):
        push(kernels, text, earlier)
    assert kernels.find(KERNEL, "mark 1", 0) == Version(KERNEL, 1)
    assert kernels.find(KERNEL, "mark 1", 1) == Version(KERNEL, 2)
    assert kernels.find(KERNEL, "mark 1", 2) is None
    assert kernels.find(KERNEL, "other", 0) == Version(KERNEL, 3)


def test_address_that_kaggle_made_of_the_title_is_used(kernels: Kernels) -> None:
    folder = make_folder(title="My digits 2", kernel=f"{USERNAME}/my_digits_2")
    version = kernels.push(folder, f"{USERNAME}/my_digits_2", "mark 1", 0)
    assert version == Version(f"{USERNAME}/my-digits-2", 1)
    assert kernels.status(version).state == "queued"


def test_title_of_another_address_is_refused(kernels: Kernels) -> None:
    push(kernels)
    folder = make_folder(kernel=f"{USERNAME}/renamed")
    with pytest.raises(KaggleError, match=r'as .*/renamed \(409: .*"My digits" already exists\)'):
        kernels.push(folder, f"{USERNAME}/renamed", "mark 1", 0)


def test_notebook_of_another_user_is_refused(kernels: Kernels) -> None:
    message = r"save the notebook other/my-digits \(403: Permission 'kernels.update' was denied\)"
    with pytest.raises(KaggleError, match=message) as caught:
        kernels.push(make_folder(kernel="other/my-digits"), "other/my-digits", "mark 1", 0)
    assert "competition" not in str(caught.value)


def test_notebook_that_is_too_large_is_refused_in_kaggles_words(kernels: Kernels) -> None:
    with pytest.raises(KaggleError, match=r"\(400: The kernel source must be less than 1 mega"):
        push(kernels, "x" * 1_000_000)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"invalidCompetitionSources": ["digit-recognizer"]}, "without the data of digit-recogn"),
        ({"invalidDatasetSources": ["me/wheels"]}, r"without the data set me/wheels.*--wheels"),
        ({"error": f"no {KEY}.\nAgain."}, r"\(no …. Again\)"),
    ],
)
def test_what_kaggle_lacks_is_told(
    answer: dict[str, object], message: str, kernels: Kernels, kaggle: Kaggle
) -> None:
    made = {"ref": f"/{KERNEL}", "versionNumber": 1}
    kaggle.inject("SaveKernel", Fault(answer=made | answer))
    with pytest.raises(KaggleError, match=message):
        push(kernels)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(loses_answer=True),
        Fault(answer={"ref": KERNEL}),
        Fault(answer=[]),
        Fault(answer={"ref": KERNEL, "versionNumber": -1}),
        Fault(answer={"ref": {"a": 1}, "versionNumber": 1}),
    ],
)
def test_lost_answer_is_looked_up(fault: Fault, kernels: Kernels, kaggle: Kaggle) -> None:
    kaggle.inject("SaveKernel", fault)
    assert push(kernels) == FIRST
    assert kaggle.counts["SaveKernel"] == 1


@pytest.mark.parametrize("fault", [Fault(closes=True), Fault(500), Fault(408), Fault(html=True)])
def test_unknown_outcome_is_told_and_not_repeated(
    fault: Fault, kernels: Kernels, kaggle: Kaggle
) -> None:
    kaggle.inject("SaveKernel", fault)
    with pytest.raises(OutcomeUnknownError, match="It was not sent again"):
        push(kernels)
    assert kaggle.counts["SaveKernel"] == 1 and not kaggle.kernels.versions


def test_run_is_asked_for_by_its_version(kernels: Kernels, kaggle: Kaggle) -> None:
    runs = {
        "mark 1": Run([("stdout", "first\n")], {"a.csv": b"1"}, queued=0, running=0),
        "mark 2": Run([("stderr", "second\n")], {"a.csv": b"2"}, "ERROR", "It failed.", 0, 0),
    }
    kaggle.kernels.run = lambda source: runs["mark 1" if "mark 1" in source else "mark 2"]
    versions = push(kernels), push(kernels, "mark 2", 1)
    assert [kernels.status(version) for version in versions] == [
        RunStatus("complete"),
        RunStatus("error", "It failed"),
    ]
    outputs = [kernels.output(version) for version in versions]
    assert [output.log for output in outputs] == [[LogLine("first")], [LogLine("second", True)]]
    for number, output in enumerate(outputs, start=1):
        kernels.download(output.files["a.csv"], Path("a.csv"))
        assert Path("a.csv").read_text() == f"{number}"


def test_all_pages_of_the_output_are_listed(kernels: Kernels, kaggle: Kaggle) -> None:
    files = {f"{number}.csv": b"" for number in range(7)}
    kaggle.kernels.run = lambda source: Run([], files, queued=0, running=0)
    kaggle.kernels.page_size = 3
    push(kernels)
    kernels.status(FIRST)
    assert sorted(kernels.output(FIRST).files) == sorted(files)
    assert kaggle.counts["ListKernelSessionOutput"] == 3


def test_version_that_is_known_late_is_waited_for(kernels: Kernels, kaggle: Kaggle) -> None:
    push(kernels)
    kaggle.inject("GetKernelSessionStatus", Fault(404), times=2)
    assert kernels.status(FIRST).state == "queued"


def test_version_that_was_deleted_is_told(kernels: Kernels, kaggle: Kaggle) -> None:
    message = r"does not know version 1 of digit_tester/my-digits any more.*--again"
    with pytest.raises(KaggleError, match=message):
        kernels.status(FIRST)
    with pytest.raises(KaggleError, match=message):
        kernels.output(FIRST)


def test_log_is_followed_from_its_beginning(kernels: Kernels, kaggle: Kaggle) -> None:
    log = [("stdout", f"{number}\n") for number in range(100)]
    kaggle.kernels.run = lambda source: Run(log, queued=0, running=9)
    push(kernels)
    kernels.status(FIRST)
    whole = [LogLine(f"{number}") for number in range(100)]
    kaggle.inject("log", Fault(sent_share=0.3), times=1)
    assert list(kernels.follow_log(FIRST)) == whole[:30]
    assert list(kernels.follow_log(FIRST)) == whole


@pytest.mark.parametrize("fault", [Fault(closes=True), Fault(404), Fault(503), Fault(html=True)])
def test_log_that_cannot_be_followed_is_no_error(
    fault: Fault, kernels: Kernels, kaggle: Kaggle
) -> None:
    push(kernels)
    kernels.status(FIRST)
    kaggle.inject("log", fault)
    assert all("DOCTYPE" in line.text for line in kernels.follow_log(FIRST))


@pytest.mark.parametrize("event", ["[" * 100_000, "null", "5", "no JSON"])
def test_event_of_any_form_is_no_error(event: str, kernels: Kernels, kaggle: Kaggle) -> None:
    kaggle.kernels.run = lambda source: Run([("stdout", "a\n")], queued=0, running=9)
    push(kernels)
    kernels.status(FIRST)
    kaggle.inject("log", Fault(answer=f'{{"data": "first"}}\n\ndata: {event}'))
    shown = ["first", "no JSON"] if event == "no JSON" else ["first"]
    assert [line.text for line in kernels.follow_log(FIRST)] == shown


def test_lists_of_the_output_end(kernels: Kernels, kaggle: Kaggle) -> None:
    push(kernels)
    same = {"files": [{"fileName": "a.csv", "url": "u"}], "nextPageToken": "7"}
    kaggle.inject("ListKernelSessionOutput", Fault(answer=same))
    assert kernels.output(FIRST).files == {"a.csv": "u"}
    assert kaggle.counts["ListKernelSessionOutput"] == 2

    answer = kaggle.kernels.answer

    def list_without_end(method: str, request: dict[str, Any], origin: str) -> dict[str, Any]:
        again = {"nextPageToken": f"{request.get('pageToken', '')}7"}
        return answer(method, request, origin) | again

    kaggle.heal()
    kaggle.kernels.answer = list_without_end  # type: ignore[method-assign]
    assert kernels.output(FIRST).files == {}
    assert kaggle.counts["ListKernelSessionOutput"] == 2 + 50


UNREADABLE: list[tuple[str, Any, Callable[[Kernels], object]]] = [
    ("GetKernel", {"metadata": None, "blob": None}, lambda kernels: kernels.read(KERNEL)),
    (
        "GetKernel",
        {"metadata": {"currentVersionNumber": -1}, "blob": {"source": ""}},
        lambda kernels: kernels.read(KERNEL),
    ),
    ("GetKernel", {"metadata": {}, "blob": {}}, lambda kernels: kernels.read(KERNEL)),
    ("GetKernelSessionStatus", {"status": 5}, lambda kernels: kernels.status(FIRST)),
    ("ListKernelSessionOutput", {"files": [5]}, lambda kernels: kernels.output(FIRST)),
    (
        "ListKernelSessionOutput",
        {"files": [{"fileName": ["a"], "url": "u"}]},
        lambda kernels: kernels.output(FIRST),
    ),
]


@pytest.mark.parametrize(("method", "answer", "ask"), UNREADABLE)
def test_answer_of_another_form_is_one_paragraph(
    method: str, answer: Any, ask: Callable[[Kernels], object], kernels: Kernels, kaggle: Kaggle
) -> None:
    push(kernels)
    kaggle.inject(method, Fault(answer=answer))
    with pytest.raises(KaggleError, match="Kaggle's client failed in an unknown way"):
        ask(kernels)


def test_reason_of_a_failure_may_be_of_any_type(kernels: Kernels, kaggle: Kaggle) -> None:
    push(kernels)
    answer = {"status": "ERROR", "failureMessage": {"text": f"no {KEY}"}}
    kaggle.inject("GetKernelSessionStatus", Fault(answer=answer))
    assert kernels.status(FIRST) == RunStatus("error", "{'text': 'no …'}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "--id USER/SLUG"),
        ("", "--id USER/SLUG"),
        ("../other", "--id USER/SLUG"),
        (5, "unknown way"),
        (["a"], "unknown way"),
    ],
)
def test_account_without_a_name_is_told(
    name: Any, message: str, kaggle: Kaggle, kaggle_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    kaggle.inject("IntrospectToken", Fault(answer={"active": True, "username": name}))
    with pytest.raises(KaggleError, match=message):
        Kernels(QUICK).username()


@pytest.mark.parametrize(
    "fault", [Fault(sent_share=0.5), Fault(closes=True), Fault(503), Fault(429)]
)
def test_download_that_breaks_off_is_made_again(
    fault: Fault, kernels: Kernels, kaggle: Kaggle
) -> None:
    content = bytes(range(256)) * 1000
    kaggle.kernels.run = lambda source: Run([], {"a.csv": content}, queued=0, running=0)
    push(kernels)
    kernels.status(FIRST)
    address = kernels.output(FIRST).files["a.csv"]
    kaggle.inject("output", fault, times=1)
    kernels.download(address, Path("a.csv"))
    assert Path("a.csv").read_bytes() == content


@pytest.mark.parametrize("status", [403, 204, 206, 304])
def test_output_file_that_storage_does_not_give_is_told_without_its_address(
    status: int, kernels: Kernels, kaggle: Kaggle
) -> None:
    kaggle.inject("output", Fault(status))
    kaggle.kernels.run = lambda source: Run([], {"a.csv": b""}, queued=0, running=0)
    push(kernels)
    kernels.status(FIRST)
    address = kernels.output(FIRST).files["a.csv"]
    with pytest.raises(KaggleError, match=rf"not give an output file \({status}\)") as caught:
        kernels.download(address, Path("a.csv"))
    assert "Signature" not in str(caught.value) and not Path("a.csv").exists()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("plain\ntext\n", ["plain", "text"]),
        ('[{"stream_name": "stdout", "data": "a\\nb\\n"}, {"data": "c"}]', ["a", "b", "c"]),
        ('[{"data": "1/3\\r2/3\\r3/3\\r\\n"}, {"time": 1}, 5, {"data": null}]', ["3/3"]),
        ('[{"data": "cut o', ['[{"data": "cut o']),
        ('{"data": "alone"}', ["alone"]),
        ("5", []),
        (None, []),
        ({"data": "a"}, []),
        pytest.param("[" * 100_000, ["[" * 100_000], id="too deep"),
        ('[{"data": "a\\ud800b"}]', ["a?b"]),
    ],
)
def test_logs_of_any_form_are_read(text: Any, lines: list[str]) -> None:
    assert [line.text for line in read_log(text)] == lines
