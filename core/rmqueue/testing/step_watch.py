"""Steps of a workload under supervision: in Python, every page that they touch known.

The functions of an author are copied, so that what they call can be watched: a page
that is given back must be in use, a request must be one that the zone knows.  Compiled
steps would write past the zone's arrays.  The bricks below stay compiled.
"""

from __future__ import annotations

import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rmqueue.errors import InvariantError
from rmqueue.faults import OURS, loop_around
from rmqueue.mm import mmzone, pcp, queue, reclaim, smp
from rmqueue.mm.direct import step_budget
from rmqueue.mm.jit import ENABLED, jit, python_function
from rmqueue.mm.mmzone import BATCH, MIGRATETYPES, PAGE_IN_USE, PCP, RECLAIMABLE, ZONE
from rmqueue.mm.plain import plain_view
from rmqueue.mm.queue import QUEUE
from rmqueue.mm.smp import CPU, CPU_BYTES, NODE, NODE_BYTES, SMP
from rmqueue.mm.steps import EndlessLoopError
from rmqueue.simulation import Simulation
from rmqueue.testing.checklist import CheckError, require
from rmqueue.types import StepWorkload

#: Lines of Python that one step may take, for each page of the zone.
LINES_PER_PAGE = 200
#: Steps from one look at every invariant to the next.
LOOKS = 1 if ENABLED else 10
#: Steps in a row after which something must have happened.
PATIENCE = 100


class NoPageLeftError(Exception):
    """The workload says that it cannot go on."""


@jit
def nothing(smp: Any, cpu: Any, node: Any, st: Any, fallback: Any) -> None:
    """Stand in for steps that are not compiled yet."""
    cpu.t_ps += 1


class Watch:
    """A machine that goes step by step, in Python.

    Parameters
    ----------
    workload : StepWorkload
        Its functions are not compiled.
    machine : callable
        Makes the machine, not begun yet, of a workload with other functions.
    """

    def __init__(
        self, workload: StepWorkload, machine: Callable[[StepWorkload], Simulation]
    ) -> None:
        simulation = machine(replace(workload, start=nothing, step=nothing))
        self.simulation, self.zone = simulation, simulation.zones[0]
        self.taken = 0
        bricks = self._bricks()
        seen: dict[Any, Any] = {}
        self.start = watched(workload.start, bricks, seen)
        self.step = watched(workload.step, bricks, seen)
        self.smp = plain_view(SMP)(simulation.smp.ctypes.data)
        cpu_at = plain_view(CPU)
        self.cpus = [
            cpu_at(self.smp.cpus + i * CPU_BYTES) for i in range(self.smp.nr_cpus)
        ]
        node_at = plain_view(NODE)
        self.nodes = [
            node_at(self.smp.nodes + i * NODE_BYTES) for i in range(self.smp.nr_nodes)
        ]
        self.st = plain_view(simulation.state.dtype)(simulation.state.ctypes.data)
        self.record = plain_view(ZONE)(self.nodes[0].zone)

    def run(self, steps: int) -> None:
        """Make the start, then take so many steps.

        Raises
        ------
        CheckError
            The workload does what it must not; the message has file and line.
        NoPageLeftError
            It says that it cannot go on.
        """
        self._take(self.start, "start()")
        idle = 0
        for number in range(steps):
            cpu = min(self.cpus, key=lambda one: one.t_ps)
            before = self.smp.pages, cpu.t_ps
            self.smp.now_ps = cpu.t_ps
            self._take(self.step, f"step {number}", cpu)
            require(
                cpu.t_ps >= before[1],
                f"{self._place(self.step)}: step {number} moves the clock of CPU "
                f"{cpu.cpu} back, from {before[1]} to {cpu.t_ps} ps: add to cpu.t_ps",
            )
            idle = idle + 1 if before == (self.smp.pages, cpu.t_ps) else 0
            require(
                idle < PATIENCE,
                f"{self._place(self.step)}: {PATIENCE} steps of CPU {cpu.cpu} neither "
                "moved its clock nor counted a page: add to cpu.t_ps, and to smp.pages "
                "for each page",
            )

    def _take(
        self, function: Callable[..., Any], words: str, cpu: Any | None = None
    ) -> None:
        """Call a function of the workload, then check every invariant."""
        cpu = cpu or self.cpus[0]
        arguments = self.smp, cpu, self.nodes[cpu.node], self.st
        with (
            self._in_words(words),
            step_budget(LINES_PER_PAGE * self.zone.config.pages),
        ):
            function(*arguments, self.zone.fallback)
        if self.smp.failed:
            raise NoPageLeftError
        self.taken += 1
        if self.taken % LOOKS:
            return
        try:
            self.zone.check()
        except InvariantError as error:
            raise CheckError(
                f"{self._place(function)}: after {words}, {error}: take and give pages "
                "by the bricks of rmqueue.mm.reclaim, each once"
            ) from error

    @contextmanager
    def _in_words(self, words: str) -> Iterator[None]:
        """Say where an error was raised."""
        try:
            yield
        except EndlessLoopError as error:
            path, line = error.args
            raise CheckError(
                f"{path}, line {loop_around(path, line)}: {words} does not end: leave "
                "this loop"
            ) from error
        except CheckError as error:
            raise CheckError(f"{place_in(error)}: {words} {error}") from error
        except Exception as error:
            raise CheckError(
                f"{place_in(error)}: {words}: {type(error).__name__}: {error}"
            ) from error

    @staticmethod
    def _place(function: Callable[..., Any]) -> str:
        code = python_function(function).__code__
        return f"{code.co_filename}, line {code.co_firstlineno}"

    def _bricks(self) -> dict[int, Any]:
        """Return what stands for a brick, by the brick's identity."""
        views = {
            mmzone.zone_at: ZONE,
            mmzone.batch_at: BATCH,
            mmzone.pcp_at: PCP,
            queue.queue_at: QUEUE,
            smp.smp_at: SMP,
            smp.node_at: NODE,
            smp.cpu_at: CPU,
        }
        return {
            **{id(view): plain_view(dtype) for view, dtype in views.items()},
            id(reclaim.take_page): self._take_page,
            id(reclaim.give_page): self._give_page,
            id(pcp.rmqueue_pcplist): self._rmqueue_pcplist,
            id(pcp.free_unref_page): self._free_unref_page,
            id(queue.push): self._push,
        }

    # Bricks, watched -----------------------------------------------------------------

    def _check_request(self, cpu: int, order: int, mt: int) -> None:
        most = self.record.max_order
        require(
            0 <= order <= most,
            f"asks for a block of order {order}: the orders of the zone go from 0 to "
            f"{most}",
        )
        require(
            0 <= mt <= RECLAIMABLE,
            f"asks for migratetype {mt}: "
            + ", ".join(f"{i} is {MIGRATETYPES[i]}" for i in range(RECLAIMABLE + 1)),
        )
        self._check_cpu(cpu)

    def _check_cpu(self, cpu: int) -> None:
        cpus = self.record.cpus
        require(
            0 <= cpu < cpus,
            f"uses the lists of CPU {cpu}: the zone has those of {cpus}, from 0; a "
            "step's own is cpu.cpu",
        )

    def _check_given(self, pfn: int) -> None:
        require(
            pfn != -1,
            "gives back page -1: a brick that found none returns it: ask before",
        )
        inside = self.record.start <= pfn < self.record.end
        require(inside, f"gives back page {pfn}, which is not in the zone")
        require(
            mmzone.page_state(self.record, pfn) & PAGE_IN_USE,
            f"gives back page {pfn}, which is not in use, or not the first of a block: "
            "give each block back once",
        )

    def _take_page(
        self, zone: Any, cpu: int, order: int, mt: int, lru: int, *rest: Any
    ) -> int:
        self._check_request(cpu, order, mt)
        require(lru in (0, 1), f"asks with lru={lru}: it is 1 on an LRU list, else 0")
        return int(reclaim.take_page(zone, cpu, order, mt, int(lru), *rest))

    def _rmqueue_pcplist(
        self, zone: Any, cpu: int, order: int, mt: int, *rest: Any
    ) -> int:
        self._check_request(cpu, order, mt)
        return int(pcp.rmqueue_pcplist(zone, cpu, order, mt, *rest))

    def _give_page(self, zone: Any, cpu: int, pfn: int) -> None:
        self._check_cpu(cpu)
        self._check_given(pfn)
        reclaim.give_page(zone, cpu, pfn)

    def _free_unref_page(self, zone: Any, cpu: int, pfn: int, order: int) -> None:
        self._check_cpu(cpu)
        self._check_given(pfn)
        held = mmzone.page_state(self.record, pfn) & mmzone.PAGE_ORDER
        require(order == held, f"gives back page {pfn} as of order {order}, not {held}")
        pcp.free_unref_page(zone, cpu, pfn, order)

    def _push(self, where: Any, page: int) -> None:
        require(
            page >= 0,
            f"puts page {page} into a queue: a brick that found none returns it: ask "
            "before",
        )
        require(
            where.count <= where.mask, "puts more pages into a queue than there are"
        )
        queue.push(where, page)


def watched(function: Any, bricks: dict[int, Any], seen: dict[Any, Any]) -> Any:
    """Copy a function of an author, and those that it calls, over other bricks."""
    plain = python_function(function)
    if plain in seen:
        return seen[plain]
    names = dict(plain.__globals__)
    cells = tuple(types.CellType(c.cell_contents) for c in plain.__closure__ or ())
    copy = types.FunctionType(
        plain.__code__, names, plain.__name__, plain.__defaults__, cells
    )
    seen[plain] = copy
    for name in plain.__code__.co_names:
        if name in names:
            names[name] = stand_in(names[name], bricks, seen)
    for cell in cells:
        cell.cell_contents = stand_in(cell.cell_contents, bricks, seen)
    return copy


def stand_in(value: Any, bricks: dict[int, Any], seen: dict[Any, Any]) -> Any:
    """Return what an author's function is given in the place of what it names."""
    if id(value) in bricks:
        return bricks[id(value)]
    if isinstance(value, types.ModuleType) and value.__name__.startswith("rmqueue."):
        public = {k: stand_in(v, bricks, seen) for k, v in vars(value).items()}
        return types.SimpleNamespace(**public)
    plain = python_function(value) if callable(value) else None
    compiled = plain is not value or not ENABLED
    if not (isinstance(plain, types.FunctionType) and compiled):
        return value
    if not is_of_author(plain.__code__.co_filename):
        return value
    return watched(value, bricks, seen)


def is_of_author(file: str) -> bool:
    """Whether code is neither ours nor the library's."""
    return not file.startswith((OURS, "<")) and "numba" not in Path(file).parts


def place_in(error: BaseException) -> str:
    """File and line of the author's code in which an error was raised."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if is_of_author(frame.filename)
    ]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "it"
