"""Watch an experiment or study while it runs: what ``rmqueue watch`` does."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.text import Text

from rmqueue.experiment import Experiment
from rmqueue.experiment_source import experiment_path
from rmqueue.registry import default_registry
from rmqueue.report import one_line
from rmqueue.results import Row
from rmqueue.runs import Run, first_alike, in_threads
from rmqueue.samples import Sample, Sampler
from rmqueue.study.file import Variant, in_words, variants
from rmqueue.study.task import tasks_at
from rmqueue.watch_board import Board, Seen, line

#: Cells of the map of pageblocks: four rows of a panel.
CELLS = 256
#: Pictures a second.
PICTURES = 10


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Attributes
    ----------
    study : str
        A built-in experiment, or a TOML file.
    samples : int
        Looks at each zone of a run [looks].
    quick : bool
        Do only a part of each run.
    """

    study: str
    samples: int = 200
    quick: bool = False


def watch(wanted: Wanted, console: Console | None = None) -> None:
    """Run an experiment or study, and show how it goes; nothing is kept.

    On a terminal a picture that moves, elsewhere a line for each sample.

    Raises
    ------
    RmqueueError
        Something is wrong with the file.
    """
    console = console or Console()
    path = experiment_path(wanted.study, default_registry())
    seen: set[str] = set()
    for variant in variants(path):
        fresh = fresh_runs(variant, wanted.quick, seen)
        if not fresh:
            continue
        board = Board(head=head_of(variant))
        live = Live(board, console=console, refresh_per_second=PICTURES)
        with live if console.is_terminal else nullcontext():
            for row in Watcher(board, console, wanted).rows(variant, fresh):
                head = "" if console.is_terminal else f"{board.head}: "
                console.print(Text(head + one_line(row)), soft_wrap=True)


def fresh_runs(
    variant: Variant, quick: bool, seen: set[str]
) -> set[tuple[str, int | None]]:
    """Headings and seeds of the runs that earlier points have not had.

    Parameters
    ----------
    variant : Variant
        An experiment.
    quick : bool
        Do only a part of each run.
    seen : set of str
        Keys of the runs of earlier points; those of this one are added.
    """
    tasks = [task for task in tasks_at(variant, quick) if task.key not in seen]
    seen.update(task.key for task in tasks)
    return {(task.label, task.seed) for task in tasks}


def head_of(variant: Variant) -> str:
    """Name a variant."""
    point = in_words(variant.point)
    return variant.config.name + (f" at {point}" if point else "")


@dataclass
class Watcher:
    """Runs an experiment, and puts what it sees on a board.

    Attributes
    ----------
    board : Board
        Shows it.
    console : Console
        Takes lines if it is no terminal.
    wanted : Wanted
        What the command line asks for.
    """

    board: Board
    console: Console
    wanted: Wanted

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def rows(
        self, variant: Variant, fresh: set[tuple[str, int | None]]
    ) -> Iterator[Row]:
        """Run what is fresh, in threads; alike runs once."""
        experiment = Experiment(
            variant.config, variant.base, variant.source, quick=self.wanted.quick
        )
        runs = tuple(r for r in experiment.runs() if (r.label, r.seed) in fresh)
        unique = list(dict.fromkeys(first_alike(runs)))
        parallel = experiment.start.parallel
        workers = min(os.cpu_count() or 1, len(unique)) if parallel else 1

        def one(run: Run) -> Row:
            return self._watched(experiment, run)

        with closing(in_threads(one, unique, workers)) as rows:
            yield from rows

    def _watched(self, experiment: Experiment, run: Run) -> Row:
        """Do a run; its samples go to the board."""
        seed = "" if run.seed is None else f", seed {run.seed}"
        seen = Seen(f"{run.label}{seed}")
        with self._lock:
            self.board.runs.append(seen)
        sampler = Sampler(
            self.wanted.samples, CELLS, on_sample=lambda s: self._take(seen, s)
        )
        row = experiment.measured(run, sampler=sampler).row
        seen.ended = True
        return row

    def _take(self, seen: Seen, sample: Sample) -> None:
        """Take a sample, in the thread of its run."""
        seen.take(sample)
        if not self.console.is_terminal:
            with self._lock:
                words = f"{self.board.head}: {line(seen, sample)}"
                self.console.print(Text(words), soft_wrap=True)
