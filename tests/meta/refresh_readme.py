"""Put into the documents what their commands and programs print now.

python -m tests.meta.refresh_readme [DOCUMENT...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.meta import test_readme, test_stranger
from tests.meta.documents import (
    blocks,
    commands_of,
    lasting,
    of,
    rmqueue,
    run_program,
)
from tests.meta.sources import ROOT

#: What shows output, and how its files and plugins are laid out in a folder.
DOCUMENTS: dict[str, Callable[[Path], Path]] = {
    "README.md": test_readme.install,
    test_stranger.DOCUMENT: test_stranger.install,
}


def refresh(document: str, prepare: Callable[[Path], Path]) -> None:
    path, found = ROOT / document, blocks(document)
    text = path.read_text(encoding="utf-8")
    with TemporaryDirectory() as name:
        folder = prepare(Path(name))
        shown = [
            (output, rmqueue(command, folder))
            for _, command, output in commands_of(found)
            if output
        ]
        shown += [
            (block.prints, run_program(block, folder))
            for block in of("python", found)
            if block.prints is not None
        ]
    for before, after in shown:
        if lasting(before) != lasting(after):
            text = text.replace(before.strip("\n"), after.strip("\n"), 1)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    for document in sys.argv[1:] or DOCUMENTS:
        refresh(document, DOCUMENTS[document])


if __name__ == "__main__":
    main()
