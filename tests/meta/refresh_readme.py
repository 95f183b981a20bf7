"""Put into the documents what their commands and programs print now.

python -m tests.meta.refresh_readme [DOCUMENT...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.meta import test_hooks, test_readme, test_stranger
from tests.meta.documents import (
    blocks,
    commands_of,
    lasting,
    of,
    rmqueue,
    run_program,
)
from tests.meta.hook_pages import PAGES, document, with_fields
from tests.meta.sources import ROOT

#: What shows output, and how its files and plugins are laid out in a folder.
DOCUMENTS: dict[str, Callable[[Path], Path]] = {
    "README.md": test_readme.install,
    test_stranger.DOCUMENT: test_stranger.install,
    **{document(page): partial(test_hooks.install, page) for page in PAGES},
}


def refresh(shown_in: str, prepare: Callable[[Path], Path]) -> None:
    path, found = ROOT / shown_in, blocks(shown_in)
    text = path.read_text(encoding="utf-8")
    with TemporaryDirectory() as name:
        folder = prepare(Path(name))
        shown = [
            (f"$ {command}\n{output}", f"$ {command}\n{rmqueue(command, folder)}")
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
    path.write_text(with_fields(text), encoding="utf-8")


def main() -> None:
    for name in sys.argv[1:] or DOCUMENTS:
        refresh(name, DOCUMENTS[name])


if __name__ == "__main__":
    main()
