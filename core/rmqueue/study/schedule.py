"""Run tasks on the CPUs of this machine, never beyond its memory.

Seeds and strategies of one experiment share a process: its threads run compiled code
side by side, and what was read and compiled is there once.  Different experiments and
zones go to different processes.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.managers import SyncManager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rmqueue.study.root import Root
from rmqueue.study.task import Task
from rmqueue.study.work import Done, work_all

#: Share of the memory that is free which runs may take.
SHARE_OF_MEMORY = 0.8
#: Batches for each process, so that none waits long at the end.
BATCHES = 4
#: Said of a run that is given up.
KILLED = (
    "its process was killed twice, the second time with no other run beside it: "
    "perhaps for want of memory"
)
#: Told ``("begin", key)``, ``("share", (key, share))`` and ``("done", Done)``.
Tell = Callable[[str, Any], None]


@dataclass(frozen=True)
class Limits:
    """What runs may take of this machine.

    Attributes
    ----------
    jobs : int
        Runs at once [runs].
    memory : int
        Memory of all runs at once [bytes].
    plugins : tuple of Path
        Plugin files that every process loads.
    """

    jobs: int
    memory: int
    plugins: tuple[Path, ...] = ()


@dataclass
class Batch:
    """Tasks of one experiment, for one process.

    A suspect was under way when a process died.  It runs alone, so that it pays for
    no other if that happens again.
    """

    tasks: list[Task]
    threads: int
    suspect: bool = False

    @property
    def need_bytes(self) -> int:
        """Memory that it takes at once [bytes]."""
        return max(task.need_bytes for task in self.tasks) * self.threads


def free_memory() -> int:
    """Memory that could be had now [bytes]."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    sizes = dict(line.split(":", 1) for line in lines)
    return int(sizes["MemAvailable"].split()[0]) << 10


def batches(tasks: list[Task], limits: Limits) -> tuple[int, list[Batch]]:
    """Split tasks into batches, and say how many processes take them; 0: this one.

    A run that needs more memory than there is gets a batch, and the machine, of its
    own.
    """
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.config, []).append(task)
    processes = min(limits.jobs, len(groups))
    threads = max(1, limits.jobs // max(processes, 1))
    # threads of one process wait for each other at the end of a batch: one is enough
    parts = processes * BATCHES if processes > 1 else 1
    size = max(threads, -(-len(tasks) // parts))
    found = []
    for group in groups.values():
        need = max(task.need_bytes for task in group)
        fitting = max(1, min(threads, limits.memory // max(need, 1)))
        for at in range(0, len(group), size):
            part = group[at : at + size]
            found.append(Batch(part, min(fitting, len(part))))
    return (0 if processes <= 1 else processes), found


def run_tasks(tasks: list[Task], root: Root, limits: Limits, tell: Tell) -> None:
    """Run everything; each run is kept as soon as it is done.

    Parameters
    ----------
    tasks : list of Task
        The runs.
    root : Path or str
        Folder or URL of the study.
    limits : Limits
        What they may take.
    tell : callable
        Told what happens, in the caller's thread.
    """
    processes, parts = batches(tasks, limits)
    if not processes:
        run_here(parts, root, tell)
    else:
        Pool(processes, root, limits, tell).run(deque(parts))


def run_here(parts: list[Batch], root: Root, tell: Tell) -> None:
    """Run everything in threads of this process; the caller's thread listens."""
    told: SimpleQueue[tuple[str, Any] | None] = SimpleQueue()
    failures: list[BaseException] = []

    def all_parts() -> None:
        try:
            for part in parts:
                work_all(part.tasks, root, part.threads, lambda *e: told.put(e))
        except BaseException as error:
            failures.append(error)
        finally:
            told.put(None)

    threading.Thread(target=all_parts, daemon=True).start()
    while (event := told.get()) is not None:
        tell(*event)
    if failures:
        raise failures[0]


def begin_worker(events: Any, plugins: tuple[Path, ...], parent: int) -> None:
    """Prepare a process: where it tells what happens, and what it must know."""
    global _events
    _events = events
    leave_with(parent)
    from rmqueue.registry import default_registry

    for path in plugins:
        default_registry().add_file(path)


_events: Any = None


def leave_with(parent: int) -> None:
    """End this process as soon as the one that has begun it is gone.

    Whoever kills that one, perhaps with -9, wants no run to go on.
    """

    def follow() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def work_batch(tasks: list[Task], root: Root, threads: int) -> None:
    """Do a batch in a process of the pool."""
    work_all(tasks, root, threads, lambda *event: _events.put(event))


@dataclass
class Pool:
    """Processes that take batches, as many as memory allows.

    Attributes
    ----------
    processes : int
        How many.
    root : Path or str
        Folder or URL of the study.
    limits : Limits
        What they may take together.
    tell : callable
        Told what happens.
    """

    processes: int
    root: Root
    limits: Limits
    tell: Tell
    running: dict[Future[None], Batch] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)

    def run(self, waiting: deque[Batch]) -> None:
        """Run all batches; what was under way in one that died is tried again."""
        context = multiprocessing.get_context("spawn")
        manager = SyncManager(ctx=context)
        manager.start(leave_with, (os.getpid(),))
        with manager:
            events = manager.Queue()
            begin = (events, self.limits.plugins, os.getpid())
            while waiting or self.running:
                with ProcessPoolExecutor(
                    self.processes, context, begin_worker, begin
                ) as pool:
                    try:
                        self._feed(pool, waiting, events)
                    except BrokenProcessPool:
                        waiting.extend(self._left(events))
                    except BaseException:
                        for child in multiprocessing.active_children():
                            child.kill()  # compiled code hears of nothing
                        raise

    def _feed(self, pool: Any, waiting: deque[Batch], events: Any) -> None:
        """Hand out batches while they fit, and pass on what happens."""
        while waiting or self.running:
            while waiting and self._fits(waiting[0]):
                part = waiting[0]
                future = pool.submit(work_batch, part.tasks, self.root, part.threads)
                self.running[future] = waiting.popleft()
            over, _ = wait(self.running, timeout=0.05, return_when=FIRST_COMPLETED)
            self._listen(events)
            for future in over:
                future.result()
                del self.running[future]
        self._listen(events)

    def _fits(self, part: Batch) -> bool:
        """Whether a batch may begin now; what never fits runs alone."""
        if not self.running:
            return True
        if part.suspect or any(one.suspect for one in self.running.values()):
            return False
        taken = sum(one.need_bytes for one in self.running.values())
        fits = taken + part.need_bytes <= self.limits.memory
        return fits and len(self.running) < self.processes

    def _listen(self, events: Any) -> None:
        """Pass on all that was told."""
        while not events.empty():
            what, about = events.get()
            if what == "begin":
                self.begun.add(about)
            elif what == "done":
                self.done.add(about.key)
            self.tell(what, about)

    def _left(self, events: Any) -> Iterator[Batch]:
        """Yield what is left of all batches when a process died: suspects alone.

        The pool kills its other processes too, and a batch has threads: only of a run
        that was alone is it known that its process died of it.
        """
        self._listen(events)
        parts, self.running = list(self.running.values()), {}
        for part in parts:
            part.tasks = [task for task in part.tasks if task.key not in self.done]
        under_way = self.begun - self.done
        self.begun -= under_way
        for part in parts:
            if part.suspect:
                for task in part.tasks:
                    self.tell("done", Done(task.key, KILLED, failed=True))
                continue
            # where nothing had begun yet, all are suspects: it must end some time
            suspects = [t for t in part.tasks if t.key in under_way or not under_way]
            yield from (Batch([task], 1, suspect=True) for task in suspects)
            if rest := [task for task in part.tasks if task not in suspects]:
                yield Batch(rest, part.threads)
