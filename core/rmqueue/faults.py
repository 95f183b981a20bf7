"""What a strategy did wrong while it was asked, in words: its name, file and line."""

from __future__ import annotations

import ast
import traceback
from bdb import BdbQuit
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from rmqueue.binding import BoundStrategy
from rmqueue.diagnosis import parsed, sources
from rmqueue.errors import RmqueueError, StrategyError
from rmqueue.mm.jit import python_function
from rmqueue.mm.mmzone import (
    FAULTS,
    MIGRATETYPES,
    OTHER_PAGES,
    REFILL_TOOK,
    STOPPED,
    WRONG_BLOCK,
    WRONG_LIST,
)
from rmqueue.mm.steps import EndlessLoopError
from rmqueue.storage import ZoneStorage

OURS = str(Path(__file__).parent)
OVER = "the run has stopped, and this zone takes no further requests"


@contextmanager
def asked(bound: BoundStrategy, *storages: ZoneStorage) -> Iterator[None]:
    """Run what asks a strategy; what that does wrong is an error in its name.

    Parameters
    ----------
    bound : BoundStrategy
        The strategy.
    storages : ZoneStorage
        The zones that ask it; none of them goes on after a fault.

    Raises
    ------
    StrategyError
        It raised, did not end, or returned what it cannot have taken.
    """
    refuse_fault(bound, *storages)
    try:
        yield
        failure = getattr(bound.fallback, "failure", None)
        if failure is not None:
            raise failure
    except (RmqueueError, BdbQuit):
        raise
    except Exception as error:
        for storage in storages:
            storage.record["fault"] = STOPPED
        function = bound.strategy.fallback
        words = raised(function, error, "return -1 where there is no page")
        raise StrategyError(f"{bound.name}: {words}; {OVER}") from error
    refuse_fault(bound, *storages)


class Asking(Protocol):
    """Something with zones that ask a strategy."""

    def asked(self) -> AbstractContextManager[None]:
        """Run what asks the strategy."""


def all_asked(zones: Iterable[Asking]) -> ExitStack:
    """Run what asks the strategies of several zones (see `asked`)."""
    stack = ExitStack()
    for zone in zones:
        stack.enter_context(zone.asked())
    return stack


def refuse_fault(bound: BoundStrategy, *storages: ZoneStorage) -> None:
    """Refuse to go on after a strategy has broken a rule.

    Raises
    ------
    StrategyError
        It has.
    """
    for storage in storages:
        zone = storage.record[0]
        fault = int(zone["fault"])
        if fault != 0:
            raise StrategyError(
                f"{bound.name}: {line_of(bound.strategy.fallback)}: "
                f"{FAULTS[fault]}{details(zone)}; {OVER}"
            )


def details(zone: Any) -> str:
    """Say which page a fault is about, and what to do."""
    fault, order, pfn = (int(zone[f]) for f in ("fault", "fault_order", "fault_pfn"))
    if fault in (STOPPED, REFILL_TOOK):
        return ""
    if fault == WRONG_LIST:
        types = MIGRATETYPES[: zone["nr_types"]]
        return (
            f": order {order}, migratetype {pfn}: the zone has orders 0 to "
            f"{zone['max_order']} and migratetypes 0 to {len(types) - 1}, "
            f"{', '.join(types)}"
        )
    place = f"pfn {pfn + int(zone['base'])}"
    if fault == WRONG_BLOCK:
        return (
            f": {place}, order {order}: its order is in page_state() of its first page"
        )
    words = f": it returned {place} for order {order}"
    if pfn == -1:
        words = f": it returned -1 for order {order}"
    if fault == OTHER_PAGES:
        taken, wanted = int(zone["fault_pages"]), 0 if pfn == -1 else 1 << order
        words += f", and took {taken} pages instead of {wanted}"
    return f"{words}: return what a brick of rmqueue.mm.fallback gave you, or -1"


def raised(function: Callable[..., Any], error: Exception, advice: str) -> str:
    """Say where an error was raised, perhaps below a function, and what to do."""
    if isinstance(error, EndlessLoopError):
        path, line = error.args
        return (
            f"{path}, line {loop_around(path, line)}: a loop that does not end: it has "
            f"used up its steps: leave it, and {advice}"
        )
    path, line = place_of(function, error)
    words = f"{type(error).__name__}: {error}".removesuffix(": ")
    place = f"{path}, line {line}"
    if line_of(function).startswith(f"{place},"):  # which line is not known
        place = line_of(function)
    return f"{place}: {words}: {advice}"


def place_of(function: Callable[..., Any], error: Exception) -> tuple[str, int]:
    """Find the file and line of an author that an error comes from."""
    if isinstance(error, EndlessLoopError):
        return str(error.args[0]), int(error.args[1])
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((OURS, "<"))
        and "numba" not in Path(frame.filename).parts
    ]
    if frames:
        return frames[-1].filename, frames[-1].lineno or 0
    code = python_function(function).__code__
    return code.co_filename, code.co_firstlineno


def line_of(function: Callable[..., Any]) -> str:
    """File and line of a function, and of its author's that it calls."""
    code = python_function(function).__code__
    return f"{code.co_filename}, line {code.co_firstlineno}{helpers_of(function)}"


def helpers_of(function: Callable[..., Any]) -> str:
    """Say which functions of its author a function calls; a fault may be in them."""
    plain = python_function(function)
    path, words = plain.__code__.co_filename, []
    for source in sources(plain, set()):
        code = source.function.__code__
        if source.function is not plain:
            file = "" if code.co_filename == path else f"{code.co_filename}, "
            words.append(f"{code.co_name}() in {file}line {code.co_firstlineno}")
    return f", or in what it calls, {' or '.join(words)}" if words else ""


def loop_around(path: str, line: int) -> int:
    """Find the line of the innermost loop that holds a line of a file."""
    try:
        tree = parsed(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return line
    loops = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, (ast.For, ast.While))
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(loops, default=line)
