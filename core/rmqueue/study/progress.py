"""Progress of a study on a terminal (stderr): done, running, failed, time left."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from rmqueue.study.task import Task
from rmqueue.study.work import Done


class Silence:
    """Shows no progress; keeps what came of runs, and passes notes on."""

    def __init__(self, notes: bool = True) -> None:
        self.dones: list[Done] = []
        self._notes = notes

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def tell(self, what: str, about: Any) -> None:
        """Take what happens."""
        if what == "done":
            self.dones.append(about)
        elif what == "note" and self._notes:
            self._note(about)

    def _note(self, words: str) -> None:
        print(f"rmqueue: {words}", file=sys.stderr, flush=True)


class Shown(Silence):
    """A bar for the study, the runs that are under way, and a line for each result."""

    def __init__(self, tasks: list[Task]) -> None:
        super().__init__()
        self._words = {task.key: task.words for task in tasks}
        self._shares: dict[str, float] = {}
        self._failed = 0
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=len(tasks))

    def __enter__(self) -> Shown:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, what: str, about: Any) -> None:
        """Show what happens."""
        super().tell(what, about)
        if what == "begin":
            self._shares[about] = 0.0
        elif what == "share":
            self._shares[about[0]] = about[1]
        elif what == "done":
            self._shares.pop(about.key, None)
            self._failed += about.failed
            words = self._words[about.key] + ": " if about.failed else ""
            style = "red" if about.failed else ""
            self._progress.console.print(Text(words + about.words, style=style))
        failed = f", {self._failed} failed" if self._failed else ""
        self._progress.update(
            self._task,
            completed=len(self.dones) + sum(self._shares.values()),
            description=f"{len(self._shares)} running{failed}",
        )

    def _note(self, words: str) -> None:
        self._progress.console.print(Text(words, style="yellow"))
