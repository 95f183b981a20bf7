"""Progress of an experiment on a terminal (stderr)."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.status import Status
from rich.text import Text

from rmqueue.compare import one_line
from rmqueue.experiment import Run
from rmqueue.results import Row


class Live:
    """A line that moves while a strategy runs, and a line that stays for each result.

    Examples
    --------
    >>> with Live() as live:  # doctest: +SKIP
    ...     live.begin(run)
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status = Status("reading the start", console=self._console)

    def __enter__(self) -> Live:
        self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()

    def begin(self, run: Run) -> None:
        """Show what runs now."""
        seed = "" if run.seed is None else f", seed {run.seed}"
        self._status.update(Text(f"{run.label} on {run.kernel}{seed}"))

    def end(self, run: Run, row: Row) -> None:
        """Show what came of it."""
        self._console.print(Text(one_line(row)))
