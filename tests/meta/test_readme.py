"""The documentation is run: every command, program and file that it shows.

Blocks are run as a user would run them, in a process of their own.  A ``text`` block
that follows a program is what the program prints.  Files are those that a block names
in a comment on its first line.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.meta.sources import ROOT

#: What is run here runs jitted in any case: once is enough.
pytestmark = pytest.mark.slow

REFRESH = "run: python -m tests.meta.refresh_readme"
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<body>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    document: str
    line: int
    language: str
    body: str
    prints: str | None

    @property
    def file(self) -> str | None:
        """The file that it is, if its first line names one."""
        match = re.match(r"# (\S+\.(?:py|toml))$", self.body.partition("\n")[0])
        return match[1] if match else None


def blocks(document: str) -> list[Block]:
    text = (ROOT / document).read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        body = textwrap.dedent(match["body"])
        line = text.count("\n", 0, match.start()) + 1
        behind = re.compile(r"\s*```text\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
        output = behind.match(text, match.end())
        prints = textwrap.dedent(output[1]) if output else None
        found.append(Block(document, line, match["language"], body, prints))
    return found


README, PLUGINS = blocks("README.md"), blocks("plugins/README.md")


def of(language: str, *documents: list[Block]) -> list[Block]:
    return [b for document in documents for b in document if b.language == language]


def where(block: Block) -> str:
    return f"{block.document}:{block.line}"


def commands() -> Iterator[tuple[Block, str, str]]:
    """Every ``$ rmqueue`` command, and what is shown below it."""
    for block in of("console", README, PLUGINS):
        for part in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            if command.startswith("rmqueue"):
                yield block, command, output.strip("\n")


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


def run(arguments: list[str], folder: Path) -> str:
    """Standard output of a process, which must succeed; it sees the plugins."""
    inherited = {k: v for k, v in os.environ.items() if k != "NUMBA_DISABLE_JIT"}
    ended = subprocess.run(
        arguments,
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def rmqueue(command: str, folder: Path) -> str:
    arguments = shlex.split(command)[1:]
    return run([sys.executable, "-m", "rmqueue.cli", *arguments], folder)


def run_program(block: Block, folder: Path) -> str:
    program = folder / (block.file or "example.py")
    program.write_text(block.body, encoding="utf-8")
    return run([sys.executable, "-W", "error", str(program)], folder)


def lasting(output: str) -> str:
    """Output without what differs from run to run: times and versions."""
    lines = []
    for line in output.strip("\n").splitlines():
        if line.startswith("time ["):
            line = re.sub(r" +[0-9.]+", " T", line)
        if line.startswith("made with "):
            line = re.sub(r"[0-9][0-9a-z.+]*", "V", line)
        lines.append(line.rstrip())
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("block", "command", "output"),
    [pytest.param(*found, id=f"{where(found[0])}-{found[1]}") for found in commands()],
)
def test_commands(block: Block, command: str, output: str, folder: Path) -> None:
    printed = rmqueue(command, folder)
    if output:
        assert lasting(printed) == lasting(output), (
            "python -m tests.meta.refresh_readme"
        )


def test_the_default_comparison_is_shown() -> None:
    shown = [output for _, command, output in commands() if command.endswith("compare")]
    assert any("worst hold [us]" in output for output in shown)


@pytest.mark.parametrize("block", of("python", README), ids=where)
def test_programs(block: Block, folder: Path) -> None:
    printed = run_program(block, folder)
    if block.prints is not None:
        assert lasting(printed) == lasting(block.prints)


@pytest.mark.parametrize("block", of("toml", README), ids=where)
def test_experiment_files(block: Block, folder: Path) -> None:
    assert block.file, "name the file in a comment on the first line"
    assert "worst hold" in rmqueue(f"rmqueue compare --quiet {block.file}", folder)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        named = set(re.findall(r"`make ([\w-]+)|^\$ make ([\w-]+)", text, re.MULTILINE))
        assert {a or b for a, b in named} <= targets, document


def test_links_lead_somewhere() -> None:
    for document in ("README.md", "CONTRIBUTING.md", "plugins/README.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / document).parent.joinpath(target).exists(), target


def test_the_plugins_of_the_manual(folder: Path) -> None:
    listed = rmqueue("rmqueue plugins", folder)
    for line in (r"machine +slow-scan +rmqueue-lab 1\.0 ", r"strategy +patient +"):
        assert re.search(f"^{line}", listed, re.MULTILINE)
