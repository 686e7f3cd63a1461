"""Files are there whole or not at all, whatever happens while they are written."""

import errno
import os
import re
import signal
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from pipeline import files
from pipeline.errors import ArtifactError, exit_status
from pipeline.files import (
    atomic_path,
    clear_leftovers,
    corruption_as,
    read_bytes,
    read_json,
    sha256,
    write_json,
    write_text,
)
from pipeline.submissions import log as submission_log

WRITE_TOO_MUCH = """
import resource
from pathlib import Path
from pipeline.errors import exit_status
from pipeline.files import write_text

resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
raise SystemExit(exit_status(lambda: write_text(Path("big.txt"), "x" * 50_000)))
"""


KILL_WHILE_REPLACING = """
import os, signal
from pathlib import Path
from pipeline.files import atomic_path

replace = Path.replace
def replace_once(path, target):
    replace(path, target)
    os.kill(os.getpid(), signal.SIGKILL)
Path.replace = replace_once
with atomic_path(Path("folder")) as temporary:
    temporary.mkdir()
"""


def contents(folder: Path) -> dict[str, str]:
    """Every file below ``folder``, hidden ones too, and what it holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_parent_folders_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a/b/c.txt", "new")
    assert contents(tmp_path) == {"a/b/c.txt": "new"}


def test_text_is_utf8_with_its_own_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "é\n–\r\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\n–\r\n".encode()


def test_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert (temporary.parent, temporary.suffix) == (path.parent, path.suffix)
    assert contents(tmp_path) == {"a.txt": "new"}


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt("stop")])
def test_old_file_stays_after_an_error(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error), match="stop"), atomic_path(path) as temporary:
        temporary.write_text("new")
        raise error
    assert contents(tmp_path) == {"a.txt": "old"}


def test_folder_replaces_folder_whole(tmp_path: Path) -> None:
    for names in (["a", "b"], ["b", "c"]):
        with atomic_path(tmp_path / "folder") as temporary:
            temporary.mkdir()
            for name in names:
                (temporary / name).write_text(str(names))
    assert list(contents(tmp_path)) == ["folder/b", "folder/c"]


def test_old_folder_stays_after_an_error(tmp_path: Path) -> None:
    write_text(tmp_path / "folder/a", "old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "a").write_text("new")
        raise RuntimeError
    assert contents(tmp_path) == {"folder/a": "old"}


def test_remains_of_a_killed_process_of_the_same_number_do_not_matter(tmp_path: Path) -> None:
    write_text(tmp_path / f".folder.{os.getpid()}.partial/a", "left behind")
    with atomic_path(tmp_path / "folder") as temporary:
        temporary.mkdir()
    assert contents(tmp_path) == {}


def test_folder_that_a_process_of_the_same_number_had_set_aside_is_no_obstacle(
    tmp_path: Path,
) -> None:
    write_text(tmp_path / "folder/a", "the new one")
    write_text(tmp_path / f".folder.{os.getpid()}.partial-replaced/a", "the old one, replaced")
    with atomic_path(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "a").write_text("newer")
    assert contents(tmp_path) == {"folder/a": "newer"}


def test_folder_that_a_process_of_the_same_number_had_set_aside_comes_back(tmp_path: Path) -> None:
    write_text(tmp_path / f".folder.{os.getpid()}.partial-replaced/a", "old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "folder") as temporary:
        temporary.mkdir()
        raise RuntimeError
    assert contents(tmp_path) == {"folder/a": "old"}


@pytest.fixture
def dead() -> int:
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_killed_processes_left_goes_with_the_next_write(tmp_path: Path, dead: int) -> None:
    write_text(tmp_path / f".a.{dead}.partial.txt", "left behind")
    write_text(tmp_path / f".folder.{dead}.partial/a", "left behind")
    write_text(tmp_path / f".folder.{dead}.partial-replaced/a", "the old one, replaced")
    write_text(tmp_path / "folder/a", "the new one")
    write_text(tmp_path / "b.txt", "new")
    assert contents(tmp_path) == {"folder/a": "the new one", "b.txt": "new"}


def test_folder_that_a_killed_process_had_set_aside_comes_back(tmp_path: Path, dead: int) -> None:
    write_text(tmp_path / f".a.b.{dead}.partial-replaced/c", "old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.b") as temporary:
        temporary.mkdir()
        raise RuntimeError
    assert contents(tmp_path) == {"a.b/c": "old"}


def test_what_others_write_just_now_stays(tmp_path: Path) -> None:
    names = [f".a.{os.getppid()}.partial.txt", ".a.partial.txt", ".b.x1.partial"]
    for name in names:
        (tmp_path / name).write_text("theirs")
    write_text(tmp_path / "a.txt", "new")
    assert sorted(contents(tmp_path)) == sorted([*names, "a.txt"])


def test_killed_between_two_renames_the_old_folder_is_lost_to_nobody(tmp_path: Path) -> None:
    write_text(tmp_path / "folder/a", "old")
    done = subprocess.run([sys.executable, "-c", KILL_WHILE_REPLACING], cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL
    clear_leftovers(tmp_path)
    assert contents(tmp_path) == {"folder/a": "old"}


def test_longest_names_can_be_written(tmp_path: Path) -> None:
    for name in ("a" * 251 + ".txt", "é" * 120 + ".txt"):
        write_text(tmp_path / name, name)
        assert (tmp_path / name).read_text() == name


def test_link_is_replaced_and_not_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("shared")
    (tmp_path / "a.txt").symlink_to("cache")
    write_text(tmp_path / "a.txt", "new")
    assert contents(tmp_path) == {"a.txt": "new", "cache": "shared"}


def test_nothing_written_names_the_final_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_path(tmp_path / "a.txt"):
        pass
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_file_inside_a_new_folder_names_the_final_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_path(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "absent").read_text()
    assert caught.value.filename == str(tmp_path / "folder")


def test_error_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_path(tmp_path / "a.txt"):
        (tmp_path / "other").read_text()
    assert caught.value.filename == str(tmp_path / "other")


def test_error_of_no_file_keeps_its_message(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"^the network is down$"), atomic_path(tmp_path / "a.txt"):
        raise OSError("the network is down")


def test_file_that_grows_too_large_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", WRITE_TOO_MUCH], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: Could not write or read big.txt. The file is larger")
    assert contents(tmp_path) == {"big.txt": "old"}


@pytest.mark.parametrize("name", ["reports", "reports/data", "reports/data/summary.json"])
def test_file_where_a_folder_belongs_is_explained(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reports").write_text("a file")
    target = tmp_path / name / "a.txt"
    assert exit_status(lambda: write_text(target, "new")) == 1
    assert "A file stands where a folder belongs" in capsys.readouterr().err
    assert contents(tmp_path) == {"reports": "a file"}


def test_folder_where_a_file_belongs_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_text(tmp_path / "a.csv/inside", "kept")
    assert exit_status(lambda: write_text(tmp_path / "a.csv", "new")) == 1
    assert f"read {tmp_path / 'a.csv'}. A folder stands" in capsys.readouterr().err
    assert contents(tmp_path) == {"a.csv/inside": "kept"}


def test_json_comes_back_in_its_own_order(tmp_path: Path) -> None:
    content = {"b": [1, 2.5, None], "a": {"é": True}}
    write_json(tmp_path / "a.json", content)
    assert list(read_json(tmp_path / "a.json").items()) == list(content.items())


@pytest.mark.parametrize("damaged", [b"", b"{", b'{"a": 1}}', b"\xff\xfe", b"<html>"])
def test_damaged_json_is_named(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(damaged)
    expected = f"^{re.escape(str(path))} is damaged: expected JSON, but .+ run: dvc repro$"
    with pytest.raises(ArtifactError, match=expected):
        read_json(path)


def test_missing_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"a\.json is missing: .* run: dvc repro$"):
        read_json(tmp_path / "a.json")


def npz(*, compressed: bool) -> bytes:
    """An archive of one array, large enough that its header is parsed before its CRC is checked."""
    file = BytesIO()
    images = np.random.default_rng(0).integers(0, 256, (5, 50, 50), dtype=np.uint8)
    (np.savez_compressed if compressed else np.savez)(file, images=images)
    return file.getvalue()


def read_npz(content: bytes) -> None:
    with corruption_as(ArtifactError), np.load(BytesIO(content), allow_pickle=False) as arrays:
        assert arrays["images"].shape


@pytest.mark.filterwarnings("ignore")  # of Python, about the code that a damaged header looks like
@pytest.mark.parametrize("compressed", [False, True])
def test_any_changed_byte_of_an_archive_is_harmless_or_named(compressed: bool) -> None:
    content = npz(compressed=compressed)
    named = 0
    for place in [*range(250), *range(len(content) - 130, len(content))]:
        for mask in (0x01, 0x0C, 0x50, 0xFF):
            changed = bytearray(content)
            changed[place] ^= mask
            try:
                read_npz(bytes(changed))
            except ArtifactError as error:
                named += 1
                assert str(error)
                assert "pickle" not in str(error)
    assert named > 500


@pytest.mark.parametrize("header", ["{'descr': (1, '|u1', ", "{'descr': 3 4}", "{b'descr': 1}"])
def test_header_that_is_no_python_is_named(header: str) -> None:
    """Python versions differ in which single bytes make it so."""
    text = header.encode().ljust(53) + b"\n"
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "images.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
        )
    with pytest.raises(ArtifactError):
        read_npz(file.getvalue())


@pytest.mark.parametrize("length", [0, 1, 3, 30, 100, 5_000])
def test_archive_cut_short_is_named(length: int) -> None:
    with pytest.raises(ArtifactError):
        read_npz(npz(compressed=False)[:length])


@pytest.mark.parametrize("error", [PermissionError(13, "denied"), ArtifactError("stale")])
def test_other_errors_are_not_taken_for_damage(error: Exception) -> None:
    with pytest.raises(type(error)), corruption_as(ArtifactError):
        raise error


@pytest.mark.parametrize("error", [MemoryError(), IndexError(), AttributeError("x"), KeyError()])
def test_whatever_a_decoder_raises_is_damage(error: Exception) -> None:
    with pytest.raises(ArtifactError), corruption_as(ArtifactError):
        raise error


@pytest.mark.parametrize("nested", [b"[" * 3000, b'{"a":' * 3000])
def test_json_that_is_nested_too_deep_is_damaged(nested: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(nested)
    with pytest.raises(ArtifactError, match="a.json is damaged"):
        read_json(tmp_path / "a.json")


def test_what_may_never_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        for read in (sha256, read_json, read_bytes):
            with pytest.raises(ArtifactError, match=f"{name} is a pipe, a socket or a device"):
                read(tmp_path / name)
    with pytest.raises(ArtifactError, match="is a folder: expected a file"):
        sha256(tmp_path)
    with pytest.raises(ArtifactError, match="name is empty"):
        sha256(Path())


def test_sha256_of_known_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")


def test_durable_file_is_on_the_disk_before_and_after_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed, fsync = tmp_path / "log.csv", [], os.fsync

    def note(descriptor: int) -> None:
        flushed.append((os.fstat(descriptor).st_ino, path.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write_text(path, "new", durable=True)
    assert flushed == [(path.stat().st_ino, False), (tmp_path.stat().st_ino, True)]
    write_text(path, "newer")
    assert len(flushed) == 2
    submission_log.write(path, [])
    assert len(flushed) == 4


def test_folder_that_cannot_be_flushed_is_none_the_worse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    number = errno.EINVAL
    write_text(tmp_path / "log.csv", "new", durable=True)
    number = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        write_text(tmp_path / "log.csv", "newer", durable=True)
    assert contents(tmp_path) == {"log.csv": "new"}


def test_folder_comes_back_if_no_new_one_can_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "folder/a", "old")
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="folder"), atomic_path(tmp_path / "folder") as temporary:
        temporary.mkdir()
    assert contents(tmp_path) == {"folder/a": "old"}


def test_read_only_file_system_is_told_of_the_file_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, not even what is not there can be removed."""

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(files, "_remove", refuse)
    with pytest.raises(OSError, match="Read-only") as caught, files.atomic_path(tmp_path / "a.txt"):
        pass
    assert caught.value.filename == str(tmp_path / "a.txt")
