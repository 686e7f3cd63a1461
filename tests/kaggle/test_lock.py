"""What the lock file means for Kaggle's image."""

from pathlib import Path

import pytest

from pipeline.errors import PackagesError
from pipeline.kaggle.lock import read_lock
from tests.conftest import ROOT


def test_lock_is_read_for_the_image() -> None:
    pins = read_lock(ROOT / "requirements.lock")
    versions = {pin.name: pin.version for pin in pins}
    assert len(versions) == len(pins) > 100
    assert "pywin32" not in versions
    others = {pin.name: pin.version for pin in read_lock(ROOT / "requirements.lock", "3.11")}
    assert versions["numpy"] > others["numpy"]
    assert all(len(digest) == 64 for pin in pins for digest in pin.hashes)


def test_lock_without_hashes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("numpy==2.0 ; sys_platform == 'linux'\n")
    with pytest.raises(PackagesError, match="lacks the hash of numpy. Run: make lock"):
        read_lock(tmp_path / "requirements.lock")
    with pytest.raises(PackagesError, match="is missing. Bring it back"):
        read_lock(tmp_path / "absent.lock")
