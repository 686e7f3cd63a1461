"""The packages that a lock file names for Kaggle's image.

Environment markers are evaluated here: pip evaluates them for the Python that runs it, whatever it
downloads for (pypa/pip#11664).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.errors import PackagesError

PYTHON = "3.12"
"""That of Kaggle's image."""

_LINUX = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "sys_platform": "linux",
}


@dataclass(frozen=True)
class Pin:
    """A package that a lock file names.

    Attributes:
        name: of the package, in its normal form.
        version: the only one.
        hashes: SHA-256 of each of its files that may be used.
    """

    name: str
    version: str
    hashes: frozenset[str]

    def line(self, hashes: frozenset[str] | None = None) -> str:
        """The package as a lock file names it."""
        listed = sorted(self.hashes if hashes is None else hashes)
        return " ".join([f"{self.name}=={self.version}", *(f"--hash=sha256:{h}" for h in listed)])


def read_lock(path: Path, python: str = PYTHON) -> list[Pin]:
    """The packages that a lock file names for Linux on x86-64.

    Args:
        path: of the lock file, in pip's form, with hashes.
        python: a minor version of Python, such as 3.12.

    Raises:
        PackagesError: the file is missing, or a package has no hash.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PackagesError(
            f"{path} is missing. Bring it back with: git checkout -- {path}"
        ) from None
    machine = _LINUX | {"python_version": python, "python_full_version": f"{python}.0"}
    pins = []
    for line in text.replace("\\\n", " ").splitlines():
        described, *hashes = re.split(r"\s+--hash=sha256:", line.partition(" #")[0].strip())
        if not described or described.startswith(("#", "-")):
            continue
        requirement = Requirement(described)
        if requirement.marker and not requirement.marker.evaluate(machine):
            continue
        if not hashes:
            raise PackagesError(f"{path} lacks the hash of {requirement.name}. Run: make lock")
        version = str(requirement.specifier).removeprefix("==")
        pins.append(Pin(canonicalize_name(requirement.name), version, frozenset(hashes)))
    return pins
