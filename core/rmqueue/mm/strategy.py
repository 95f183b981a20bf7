"""Compile a strategy once, for good: a generated caller named by a digest.

The engine calls every strategy through one explicit signature, so that it is compiled
once for all of them.  The caller casts the address of the strategy's state to its
record.  It is kept in the cache under a digest of all that can change what it does:
module, bytecode, constants and globals of every function reached, the layout of the
state, and the build of ``mm/``.  Parameters are data in the state: changing one
compiles nothing.
"""

from __future__ import annotations

import dis
import hashlib
import os
import re
import tempfile
import types
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rmqueue.mm.crossing import whole
from rmqueue.mm.jit import (
    ENABLED,
    MM_DIGEST,
    SOURCES_DIGEST,
    code_folder,
    compile_entry,
    python_function,
    view_as,
)
from rmqueue.mm.mmzone import ASK_REFILL
from rmqueue.mm.page_alloc import FALLBACK_SIGNATURE
from rmqueue.mm.smp import STEP_SIGNATURE
from rmqueue.mm.steps import ENDLESS

#: Named by the digest: numba finds compiled code by its symbol, and numbers symbols
#: anew in each process, so that two strategies from the cache could have one name.
CALLER = '''\
def {name}(zone, order, start_mt, flags, batch, state):
    """Cast the address of the state to its record, and ask, with a budget of steps."""
    zone.steps_left = zone.step_limit
    page = whole(fallback(zone, order, start_mt, flags, batch, state_at(state)))
    zone.steps_left = ENDLESS
    return page
'''
#: Of a strategy that also decides the size of refills.
REFILL_CALLER = '''\
def {name}(zone, order, start_mt, flags, batch, state):
    """Cast the address of the state to its record, and ask one of two questions."""
    zone.steps_left = zone.step_limit
    st = state_at(state)
    if flags & ASK_REFILL:
        answer = whole(refill(zone, batch.cpu, order, start_mt, batch.wanted, st))
    else:
        answer = whole(fallback(zone, order, start_mt, flags, batch, st))
    zone.steps_left = ENDLESS
    return answer
'''
STEP_CALLER = '''\
def {name}(smp, cpu, node, state, fallback):
    """Cast the address of the state to its record, and take a step."""
    step(smp, cpu, node, state_at(state), fallback)
    return 0
'''


#: What compiled code names its file and line in: loops, and what is raised.
_NAMES_ITS_LINES = {"FOR_ITER", "JUMP_BACKWARD", "RAISE_VARARGS"} | {
    name for name in dis.opmap if name.startswith("POP_JUMP_BACKWARD")
}


#: What this process has compiled or read: reading takes ten milliseconds.
_compiled: dict[Path, Callable[..., Any]] = {}


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _constants(code: types.CodeType) -> str:
    return repr(
        [
            (c.co_code, _constants(c)) if isinstance(c, types.CodeType) else c
            for c in code.co_consts
        ]
    )


def _reached(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Globals and closure cells that a function names, and attributes of modules."""
    code = function.__code__
    names = list(_names(code))
    for name in names:
        value = function.__globals__.get(name)
        yield name, value
        if isinstance(value, types.ModuleType):
            for attribute in names:
                yield f"{name}.{attribute}", getattr(value, attribute, None)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield name, cell.cell_contents


def _digest_into(
    digest: Any, function: Callable[..., Any], seen: set[int], *, compiled: bool
) -> None:
    """Take in a function and its callees; if `compiled`, also what names its place."""
    plain = python_function(function)
    if not isinstance(plain, types.FunctionType) or id(plain) in seen:
        return
    seen.add(id(plain))
    if plain.__module__.startswith("rmqueue.mm."):
        digest.update(plain.__qualname__.encode())  # its body is in the first digest
        return
    code = plain.__code__
    digest.update(code.co_code + repr((code.co_names, code.co_varnames)).encode())
    if compiled:
        digest.update(_place(plain))
    digest.update(_constants(code).encode())
    for name, value in sorted(_reached(plain), key=lambda pair: pair[0]):
        digest.update(name.encode())
        if callable(value):
            _digest_into(digest, value, seen, compiled=compiled)
        elif isinstance(value, np.ndarray):
            digest.update(value.tobytes() + str(value.dtype).encode())
        elif not isinstance(value, types.ModuleType):
            # an address says nothing of the value, and is another in each process
            digest.update(re.sub(" at 0x[0-9a-f]+", "", repr(value)).encode())


def _place(plain: types.FunctionType) -> bytes:
    """Say what compiled code has of the place of its function."""
    # numba imports the module of each function whose compiled code it loads
    found = plain.__module__.encode()
    code = plain.__code__
    if _NAMES_ITS_LINES & {i.opname for i in dis.get_instructions(code)}:
        lines = (code.co_filename, code.co_firstlineno, code.co_linetable)
        found += repr(lines).encode()
    return found


@lru_cache(256)
def strategy_digest(function: Callable[..., Any], state: np.dtype[Any]) -> str:
    """Digest of everything that a compiled strategy depends on."""
    digest = hashlib.sha256(f"{MM_DIGEST} {state.descr}".encode())
    _digest_into(digest, function, set(), compiled=True)
    return digest.hexdigest()[:16]


def code_digest(*functions: Callable[..., Any]) -> str:
    """Digest of what functions do: their code, that of callees, and all of ``mm/``.

    The same on every processor and in every folder, unlike `strategy_digest`.
    """
    digest, seen = hashlib.sha256(SOURCES_DIGEST.encode()), set[int]()
    for function in functions:
        _digest_into(digest, function, seen, compiled=False)
    return str(digest.hexdigest()[:16])


def _write_once(path: Path, text: str) -> None:
    """Make a file unless it is there, whole: numba's cache keys on its time stamp."""
    if path.exists():
        if path.read_bytes() == text.encode():
            return
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".py")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # another process was first, with the same text
    finally:
        os.unlink(temporary)


def compile_strategy(
    function: Callable[..., Any],
    state: np.dtype[Any],
    refill: Callable[..., Any] | None = None,
) -> Callable[..., int]:
    """Make the first-class function that the engine calls for a strategy.

    Parameters
    ----------
    function : callable
        ``fallback(zone, order, start_mt, flags, batch, st) -> page or -1``, decorated
        with `rmqueue.mm.jit.jit`.
    state : numpy.dtype
        Structured type of ``st``.
    refill : callable or None
        ``refill(zone, cpu, order, start_mt, wanted, st) -> blocks``, decorated too.

    Returns
    -------
    callable
        Of type `page_alloc.FALLBACK_TYPE`; it takes the address of the state.

    Raises
    ------
    numba.errors.NumbaError
        The strategy does not compile.
    """
    names: dict[str, Any] = {
        "fallback": function,
        "state_at": view_as(state),
        "ENDLESS": ENDLESS,
        "whole": whole,
    }
    name, caller = f"strategy_{strategy_digest(function, state)}", CALLER
    if refill is not None:
        name += f"_{strategy_digest(refill, state)}"
        names |= {"refill": refill, "ASK_REFILL": ASK_REFILL}
        caller = REFILL_CALLER
    return compile_caller(name, caller, names, FALLBACK_SIGNATURE)


def compile_step(
    function: Callable[..., Any], state: np.dtype[Any]
) -> Callable[..., int]:
    """Make the first-class function that the multi-CPU loop calls for a workload.

    As `compile_strategy`, for ``step(smp, cpu, node, st, fallback)``, which returns
    nothing.
    """
    name = f"step_{strategy_digest(function, state)}"
    names = {"step": function, "state_at": view_as(state)}
    return compile_caller(name, STEP_CALLER, names, STEP_SIGNATURE)


def compile_caller(
    name: str, template: str, names: dict[str, Any], signature: tuple[Any, ...]
) -> Callable[..., Any]:
    """Compile a generated function, or take it from the cache.

    Parameters
    ----------
    name : str
        Its name; it says all that the function does.
    template : str
        Its text, with ``{name}``.
    names : dict
        Its globals.
    signature : tuple of numba types
        The result, then the parameters.
    """
    namespace = {"__name__": __name__, **names}
    text = template.format(name=name)
    if not ENABLED:
        exec(compile(text, "<rmqueue caller>", "exec"), namespace)
        plain: Callable[..., int] = namespace[name]
        return plain
    folder = code_folder() / "strategies"
    path = folder / f"{name}.py"
    if path not in _compiled:
        _write_once(path, text)
        exec(compile(text, str(path), "exec"), namespace)
        _compiled[path] = compile_entry(namespace[name], signature, folder)
    return _compiled[path]
