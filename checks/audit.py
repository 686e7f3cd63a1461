"""Known vulnerabilities of the packages that the lock files name.

    python -m checks.audit [--osv-url URL] [LOCK …]

pip-audit asks a database about each version. Some mirrors of the package index have no such
database: every package is skipped, and nothing is found. A package with well-known vulnerabilities
is therefore asked about first. Where the database does not know them, the audit fails.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.wording import counted

CANARY = "jinja2==2.4.1"
"""A package that has to be found vulnerable: CVE-2014-1402, CVE-2019-10906 and more."""

LOCKS = ("requirements.lock", "requirements-dev.lock")


class AuditError(Exception):
    """The audit could not look."""


def audit(requirements: Path, *options: str) -> list[dict[str, Any]]:
    """The packages of a requirements file that applies here, with their vulnerabilities.

    Args:
        requirements: pinned, with or without hashes.
        options: for pip-audit.

    Raises:
        AuditError: a package was not looked up.
    """
    command = [sys.executable, "-m", "pip_audit", "--strict", "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", *options]
    done = subprocess.run(
        [*command, "--requirement", str(requirements)], capture_output=True, text=True, check=False
    )
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = [line for line in done.stderr.splitlines() if line.strip()]
        reason = said[-1].rpartition("ERROR:pip_audit._cli:")[2] if said else "it said nothing"
        raise AuditError(reason) from None
    skipped = [each["name"] for each in found if "vulns" not in each]
    if skipped or not found:
        raise AuditError(f"skipped: {', '.join(skipped) or 'everything'}")
    return found


def check_canary(*options: str) -> None:
    """Make sure that the database knows the vulnerabilities of `CANARY`.

    Raises:
        AuditError: it does not.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "canary.txt"
        path.write_text(f"{CANARY}\n", encoding="ascii")
        (found,) = audit(path, *options)
    if not found["vulns"]:
        raise AuditError(f"no vulnerability of {CANARY} is known there")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is known; 0 if nothing is, 1 if something is, 2 if the audit could not look."""
    parser = argparse.ArgumentParser(description="Look up known vulnerabilities.")
    parser.add_argument("locks", nargs="*", type=Path, default=[*map(Path, LOCKS)], metavar="LOCK")
    parser.add_argument("--osv-url", help="ask a database in the form of OSV instead of PyPI's")
    given = parser.parse_args(arguments)
    options = ["--vulnerability-service", "osv", "--osv-url", given.osv_url] * bool(given.osv_url)
    try:
        check_canary(*options)
        audited = {each["name"]: each for lock in given.locks for each in audit(lock, *options)}
    except AuditError as error:
        print(
            f"error: The audit proves nothing: {error}. Expected a database that knows "
            f"vulnerabilities, as of {CANARY}. Some mirrors have none: run it where PyPI itself "
            "can be reached.",
            file=sys.stderr,
        )
        return 2
    vulnerable = [each for each in audited.values() if each["vulns"]]
    if vulnerable:
        Console().print(_tabulate(vulnerable))
    looked_up = counted(len(audited), "package", "packages")
    print(f"{looked_up} looked up, {len(vulnerable)} with known vulnerabilities")
    return int(bool(vulnerable))


def _tabulate(vulnerable: list[dict[str, Any]]) -> Table:
    table = Table("package", "version", "vulnerability", "mended in")
    for package in vulnerable:
        for each in package["vulns"]:
            mended = ", ".join(each["fix_versions"]) or "no version"
            table.add_row(package["name"], package["version"], each["id"], mended)
    return table


if __name__ == "__main__":
    sys.exit(main())
