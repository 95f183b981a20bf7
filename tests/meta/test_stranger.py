"""plugins/rmqueue-bestfit as its users have it: installed, tested, its README run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.documents import blocks, commands_of, lasting, rmqueue
from tests.meta.sources import ROOT, STRANGER

pytestmark = pytest.mark.slow

DOCUMENT = f"{STRANGER}/README.md"
COMMANDS = tuple(commands_of(blocks(DOCUMENT)))


def install(folder: Path) -> Path:
    """Install it into a folder, from what is there: nothing is fetched."""
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation")
    options = ("--no-deps", "--no-index", "--target", str(folder))
    subprocess.run([*pip, *options, STRANGER], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("stranger"))


def test_it_passes_its_tests(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", STRANGER],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "output"), [pytest.param(*c[1:], id=c[1]) for c in COMMANDS]
)
def test_what_its_readme_shows(command: str, output: str, folder: Path) -> None:
    printed = rmqueue(command, folder)
    if output:
        assert lasting(printed) == lasting(output), (
            "run: python -m tests.meta.refresh_readme"
        )
