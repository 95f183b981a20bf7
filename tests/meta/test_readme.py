"""The documentation is run: every command, program and file that it shows."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from tests.meta.documents import (
    Block,
    blocks,
    commands_of,
    lasting,
    of,
    rmqueue,
    run,
    run_program,
    where,
)
from tests.meta.sources import ROOT, shown, tracked_files

#: What is run here runs jitted in any case: once is enough.
pytestmark = pytest.mark.slow

README, PLUGINS = blocks("README.md"), blocks("plugins/README.md")
COMMANDS = tuple(commands_of([*README, *PLUGINS]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return install(tmp_path)


def install(folder: Path) -> Path:
    """Write all files that are shown, and install the plugins as pip would do."""
    for block in (*README, *PLUGINS):
        if block.file:
            (folder / block.file).write_text(block.body, encoding="utf-8")
    files = [tomllib.loads(block.body) for block in of("toml", PLUGINS)]
    projects = [file["project"] for file in files if "project" in file]
    name = projects[0]["name"]
    points = {
        point: module
        for project in projects
        for point, module in project["entry-points"]["rmqueue"].items()
    }
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = "".join(f"{point} = {module}\n" for point, module in points.items())
    (info / "entry_points.txt").write_text(f"[rmqueue]\n{lines}", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("block", "command", "output"),
    [pytest.param(*found, id=f"{where(found[0])}-{found[1]}") for found in COMMANDS],
)
def test_commands(block: Block, command: str, output: str, folder: Path) -> None:
    printed = rmqueue(command, folder)
    if output:
        assert lasting(printed) == lasting(output), (
            "python -m tests.meta.refresh_readme"
        )


def test_the_default_comparison_is_shown() -> None:
    shown = [output for _, command, output in COMMANDS if command.endswith("compare")]
    assert any("worst hold [us]" in output for output in shown)


@pytest.mark.parametrize("block", of("python", README), ids=where)
def test_programs(block: Block, folder: Path) -> None:
    printed = run_program(block, folder)
    if block.prints is not None:
        assert lasting(printed) == lasting(block.prints)


@pytest.mark.parametrize("block", of("toml", README), ids=where)
def test_experiment_files(block: Block, folder: Path) -> None:
    assert block.file, "name the file in a comment on the first line"
    if "[[sweep]]" in block.body:
        planned = rmqueue(f"rmqueue run --dry-run {block.file}", folder)
        assert "runs, to be kept in" in planned
        return
    assert "worst hold" in rmqueue(f"rmqueue compare --quiet {block.file}", folder)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        named = set(re.findall(r"`make ([\w-]+)|^\$ make ([\w-]+)", text, re.MULTILINE))
        assert {a or b for a, b in named} <= targets, document


def documents() -> list[str]:
    """Every document that is tracked."""
    return [shown(path) for path in tracked_files() if path.suffix == ".md"]


def test_links_lead_somewhere() -> None:
    for document in documents():
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / document).parent.joinpath(target).exists(), target


def test_the_plugins_of_the_manual(folder: Path) -> None:
    listed = rmqueue("rmqueue plugins", folder)
    for line in (r"machine +slow-scan +rmqueue-lab 1\.0 ", r"strategy +patient +"):
        assert re.search(f"^{line}", listed, re.MULTILINE)


def test_the_ten_minutes(tmp_path: Path) -> None:
    """Every step of plugins/README.md, in order, in a folder that begins empty."""
    text = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")
    section = text.partition("# Write a plugin in ten minutes\n")[2].partition("\n# ")[
        0
    ]
    steps = re.findall(r"^ +\$ (.+)$", section, re.MULTILINE)
    assert {step.split()[0] for step in steps} == {"rmqueue", "pip", "pytest"}
    python = (sys.executable, "-m")
    for step in steps:
        program, *arguments = shlex.split(step)
        if program == "rmqueue":
            rmqueue(step, tmp_path)
        elif program == "pip":  # where only this test sees it, from what is there
            options = ("--no-build-isolation", "--no-deps", "--no-index", "--target")
            here = [*options, str(tmp_path), arguments[-1]]
            run([*python, "pip", "install", "--quiet", *here], tmp_path)
        else:
            run([*python, program, "-q", *arguments], tmp_path)
