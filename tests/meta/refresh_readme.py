"""Put into README.md what its commands print now.

python -m tests.meta.refresh_readme
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.meta.sources import ROOT
from tests.meta.test_readme import (
    README,
    commands,
    install,
    lasting,
    of,
    rmqueue,
    run_program,
)


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    with TemporaryDirectory() as name:
        folder = install(Path(name))
        shown = [
            (output, rmqueue(command, folder))
            for block, command, output in commands()
            if output and block.document == "README.md"
        ]
        shown += [
            (block.prints, run_program(block, folder))
            for block in of("python", README)
            if block.prints is not None
        ]
    for before, after in shown:
        if lasting(before) != lasting(after):
            text = text.replace(before.strip("\n"), after.strip("\n"), 1)
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
