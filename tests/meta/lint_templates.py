"""Lint what ``rmqueue new`` writes, as the rest of the project is linted.

python -m tests.meta.lint_templates
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rmqueue.new import KINDS, LONGEST, write_plugin
from tests.meta.sources import ROOT


def write_all(folder: Path) -> list[Path]:
    """Write a plugin of each kind, and one with the longest name of all."""
    names = {what: f"my-{what}" for what in KINDS}
    made = [write_plugin(k, name, folder / name) for k, name in names.items()]
    for what in KINDS:
        longest = f"{what}-".ljust(LONGEST, "x")
        made.append(write_plugin(what, longest, folder / longest))
    return made


def lint(folder: Path) -> list[str]:
    """Return what the linters have to say; nothing if all is well."""
    write_all(folder)
    files = sorted(map(str, folder.rglob("*.py")))
    said = []
    for arguments in (
        ("ruff", "check", "--config", "pyproject.toml", str(folder)),
        ("ruff", "format", "--check", "--config", "pyproject.toml", str(folder)),
        ("mypy", *files),
    ):
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said.append(done.stdout + done.stderr)
    return said


def main() -> None:
    with TemporaryDirectory() as name:
        said = lint(Path(name))
    sys.exit("\n".join(said) or 0)


if __name__ == "__main__":
    main()
