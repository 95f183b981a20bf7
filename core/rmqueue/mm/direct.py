"""Python among compiled code: a strategy that stays Python, and the bricks it calls.

A strategy marked with ``@strategy(jit=False)`` runs on the compiled engine, which calls
it through a C callback; so a debugger stops in it, and nothing is compiled for it.  The
zone, the batch and its state are records over the engine's own memory.  A brick that
Python calls is compiled code behind a small entry point of its own.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import as_dtype

from rmqueue.mm.crossing import address_of, plain_whole
from rmqueue.mm.jit import I64, python_function, record, view_as
from rmqueue.mm.jit import jit as compile_jit
from rmqueue.mm.linking import BrickDispatcher
from rmqueue.mm.mmzone import ASK_REFILL, BATCH, STOPPED, ZONE
from rmqueue.mm.page_alloc import FALLBACK_SIGNATURE, FALLBACK_TYPE
from rmqueue.mm.plain import PlainRecord, plain_view
from rmqueue.mm.steps import EndlessLoopError
from rmqueue.mm.strategy import compile_caller, strategy_digest

OURS = str(Path(__file__).parent)
#: Lines of Python that make a step of the budget.
LINES_PER_STEP = 4
#: Numba's types of what Python passes to a brick.
_TYPES = {bool: types.boolean, float: types.float64}
_RECORDS: dict[type[PlainRecord], Any] = {}


class PythonStrategy:
    """A function of a strategy that stays Python."""

    def __init__(self, function: Callable[..., int]) -> None:
        self.py_func = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any) -> int:
        """Do as the function does."""
        return self.py_func(*args)


def strategy(function: Callable[..., int] | None = None, *, jit: bool = True) -> Any:
    """Mark a function of a strategy, `fallback` or `refill`.

    Parameters
    ----------
    function : callable
        Of the form that `rmqueue.types.Strategy` gives.
    jit : bool
        Compile it, as `rmqueue.mm.jit.jit` does; False: let it stay Python, for
        ``breakpoint()`` and ``print()``.  Pages and counters are the same; it is a
        thousand times slower.

    Examples
    --------
    >>> from rmqueue import Strategy, Zone, ZoneConfig
    >>> from rmqueue.mm.fallback import rmqueue_steal
    >>> @strategy(jit=False)
    ... def fallback(zone, order, start_mt, flags, batch, st):
    ...     print(f"order {order}, {zone.nr_free} pages are free")
    ...     return rmqueue_steal(zone, order, start_mt)
    >>> zone = Zone(ZoneConfig(pages=4096), Strategy("mine", "Talks.", fallback))
    >>> zone.alloc(order=3)
    order 3, 4096 pages are free
    0
    """
    mark = compile_jit if jit else PythonStrategy
    return mark if function is None else mark(function)


class PythonFallback(types.WrapperAddressProtocol):  # type: ignore[misc]
    """A strategy that stays Python, as the engine calls it.

    Parameters
    ----------
    fallback, refill : callable
        Its functions; see `rmqueue.types.Strategy`.
    state : numpy.dtype
        Structured type of ``st``.

    Attributes
    ----------
    failure : BaseException or None
        What it raised; the zone has stopped then.
    """

    def __init__(
        self,
        fallback: Callable[..., Any],
        state: np.dtype[Any],
        refill: Callable[..., Any] | None,
    ) -> None:
        self._fallback = python_function(fallback)
        self._refill = None if refill is None else python_function(refill)
        self._views = plain_view(ZONE), plain_view(BATCH), plain_view(state)
        word, pointer = ctypes.c_int64, ctypes.c_void_p
        form = ctypes.CFUNCTYPE(word, pointer, word, word, word, pointer, word)
        self._callback = form(self._called)
        self.failure: BaseException | None = None

    def __wrapper_address__(self) -> int:
        """Address of the C callback."""
        return ctypes.cast(self._callback, ctypes.c_void_p).value or 0

    def signature(self) -> Any:
        """Return numba's signature of a compiled strategy."""
        return FALLBACK_SIGNATURE[0](*FALLBACK_SIGNATURE[1:])

    def _called(
        self, zone: int, order: int, mt: int, flags: int, batch: int, state: int
    ) -> int:
        zone_at, batch_at, state_at = self._views
        asking = zone_at(zone)
        if self.failure is not None:
            return -1
        try:
            with step_budget(asking.step_limit * LINES_PER_STEP):
                records = asking, batch_at(batch), state_at(state)
                return self._ask(*records, order, mt, flags)
        except BaseException as error:  # C code has no way to pass it on
            self.failure = error
            asking.fault = STOPPED
            return -1

    def _ask(
        self, zone: Any, batch: Any, st: Any, order: int, mt: int, flags: int
    ) -> int:
        if flags & ASK_REFILL and self._refill is not None:
            found = self._refill(zone, batch.cpu, order, mt, batch.wanted, st)
        else:
            found = self._fallback(zone, order, mt, flags, batch, st)
        return plain_whole(found)


@contextmanager
def step_budget(lines: int) -> Iterator[None]:
    """Raise after so many lines of Python; not while a debugger or coverage traces."""
    if sys.gettrace() is not None:
        yield
        return
    left = lines

    def count(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            return None
        left -= event == "line"
        if left < 0:
            raise EndlessLoopError(frame.f_code.co_filename, frame.f_lineno)
        return count

    sys.settrace(count)
    try:
        yield
    finally:
        if sys.gettrace() is count:  # a debugger that was started meanwhile stays
            sys.settrace(None)


@contextmanager
def untraced() -> Iterator[None]:
    """Count no lines meanwhile, and have no debugger step in."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


ENTRY = """\
def {{name}}({parameters}):
    \"\"\"Call a brick for Python.\"\"\"
    return {call}
"""


def call_brick(brick: BrickDispatcher, *args: Any) -> Any:
    """Call compiled code from Python; records may be among its arguments."""
    kinds = tuple(kind_of(argument) for argument in args)
    with untraced():
        call, view = entry_of(brick, kinds)
    found = call(*(a._address if isinstance(a, PlainRecord) else a for a in args))
    return found if view is None else view(found)


def kind_of(argument: Any) -> Any:
    """Numba's type of what Python passes; a function is a strategy."""
    if isinstance(argument, PlainRecord):
        layout = type(argument)
        if layout not in _RECORDS:
            _RECORDS[layout] = record(argument._dtype)
        return _RECORDS[layout]
    if callable(argument):
        return FALLBACK_TYPE
    return _TYPES.get(type(argument), I64)


@functools.cache
def entry_of(
    brick: BrickDispatcher, kinds: tuple[Any, ...]
) -> tuple[Callable[..., Any], Callable[[int], Any] | None]:
    """Compile the entry point of a brick; and how Python sees the record it returns."""
    brick.compile(kinds)
    result = brick.overloads[kinds].signature.return_type
    names: dict[str, Any] = {"brick": brick, "address_of": address_of}
    arguments = []
    for i, kind in enumerate(kinds):
        arguments.append(f"a{i}")
        if isinstance(kind, types.Record):
            names[f"view{i}"] = view_as(as_dtype(kind))
            arguments[i] = f"view{i}(a{i})"
    call, view = f"brick({', '.join(arguments)})", None
    if isinstance(result, types.Record):
        call, view, result = f"address_of({call})", plain_view(as_dtype(result)), I64
    parameters = ", ".join(f"a{i}" for i in range(len(kinds)))
    words = [I64 if isinstance(kind, types.Record) else kind for kind in kinds]
    digest = strategy_digest(brick, np.dtype([]))
    key = f"{digest} {brick.__module__} {kinds}".encode()
    entry = compile_caller(
        f"brick_{hashlib.sha256(key).hexdigest()[:16]}",
        ENTRY.format(parameters=parameters, call=call),
        names,
        (result, *words),
    )
    return entry, view


BrickDispatcher.from_python = staticmethod(call_brick)
