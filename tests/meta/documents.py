"""Documents as the tests see them: fenced blocks, and running what they show.

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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.meta.sources import ROOT

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
        match = re.match(r"# (\S+\.(?:py|toml|asks))$", self.body.partition("\n")[0])
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


def of(language: str, *documents: list[Block]) -> list[Block]:
    return [b for document in documents for b in document if b.language == language]


def where(block: Block) -> str:
    return f"{block.document}:{block.line}"


def commands_of(blocks: list[Block]) -> Iterator[tuple[Block, str, str]]:
    """Every ``$ rmqueue`` command, and what is shown below it."""
    for block in of("console", blocks):
        for part in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            if command.startswith("rmqueue"):
                yield block, command, output.strip("\n")


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
            line = re.sub(r" +[0-9.]+( \([0-9.]+\))?", " T", line)
        if line.startswith("made with "):
            line = re.sub(r"[0-9][0-9a-z.+]*", "V", line)
        if " times the time of " in line:
            line = re.sub(r"[0-9.]+ times|[0-9]+ ns", "N", line)
        # columns are as wide as their times
        line = re.sub(r"^-+$", "---", re.sub(" +", " ", line.rstrip()))
        lines.append(line)
    return "\n".join(lines)
