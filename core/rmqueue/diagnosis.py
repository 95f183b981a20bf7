"""What is wrong with a strategy, in the words of its author: file, line, what to do.

The compiler finds every mistake, but tells of it in dozens of lines about code that the
author has not written.  So the common ones are looked for in the source first.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import dis
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from rmqueue.mm import fallback as bricks
from rmqueue.mm.alone import alone
from rmqueue.mm.jit import cache_root, python_function
from rmqueue.mm.mmzone import BATCH, ZONE
from rmqueue.mm.smp import CPU, NODE, SMP

#: Parameters of a strategy, in order.
PARAMETERS = ("zone", "order", "start_mt", "flags", "batch", "st")
#: Parameters of what decides the size of refills.
REFILL_PARAMETERS = ("zone", "cpu", "order", "start_mt", "wanted", "st")
#: Parameters of a step of a workload, which returns nothing.
STEP_PARAMETERS = ("smp", "cpu", "node", "st", "fallback")

#: Builtins that a compiler of numbers has no use for.
PYTHON_ONLY = {
    *("open", "input", "eval", "exec", "getattr", "setattr", "hasattr", "isinstance"),
    *("list", "dict", "set", "str", "repr", "sorted", "vars", "breakpoint", "any"),
}


@dataclass(frozen=True)
class Source:
    """A function of a strategy and its syntax tree."""

    function: types.FunctionType
    tree: ast.FunctionDef

    def place(self, node: ast.AST) -> str:
        """File and line of a node."""
        code = self.function.__code__
        line = code.co_firstlineno + getattr(node, "lineno", 1) - 1
        return f"{code.co_filename}, line {line}"


def mistakes(
    function: Callable[..., Any],
    state: np.dtype[Any],
    parameters: tuple[str, ...] = PARAMETERS,
) -> list[str]:
    """Look for the common mistakes in the source of a strategy or a workload's step.

    Parameters
    ----------
    function : callable
        It, compiled or not.
    state : numpy.dtype
        Structured type of its parameters and state, ``st``.
    parameters : tuple of str
        What it is called with, in order.

    Returns
    -------
    list of str
        A message each: place, what was found, what to do.  Nothing is said of functions
        whose source cannot be read.
    """
    plain = python_function(function)
    is_step = parameters == STEP_PARAMETERS
    records = {"zone": ZONE, "batch": BATCH, "st": state}
    if is_step:
        records |= {"smp": SMP, "cpu": CPU, "node": NODE}
    found: list[str] = []
    found += endless_recursion(plain)
    written = list(sources(plain, set()))
    none_is_known = any(looks_for_none(source.tree) for source in written)
    for source in written:
        top = source.function is plain
        found += wrong_signature(source, parameters) if top else ()
        found += unknown_names(source)
        found += unknown_fields(source, records, parameters if top else ())
        found += wrong_calls(source)
        found += not_compiled(source) if hasattr(function, "overloads") else ()
        found += missing_returns(source) if top and not is_step else ()
        if hasattr(function, "overloads"):
            found += unused_results(source)
            found += () if top else half_returns(source, none_is_known)
    return list(dict.fromkeys(found))


def sources(function: Any, seen: set[int]) -> Iterator[Source]:
    """Yield a function and those of its author that it calls."""
    plain = python_function(function)
    if not isinstance(plain, types.FunctionType) or id(plain) in seen:
        return
    seen.add(id(plain))
    if plain.__module__.startswith("rmqueue.mm."):
        return
    try:
        tree = parsed(textwrap.dedent(inspect.getsource(plain))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return
    if isinstance(tree, ast.FunctionDef):
        yield Source(plain, tree)
    for name in plain.__code__.co_names:
        if name in plain.__globals__:
            yield from sources(plain.__globals__[name], seen)


def parsed(text: str) -> ast.Module:
    """Return the syntax tree of Python code."""
    with alone():
        return ast.parse(text)


def endless_recursion(function: Any) -> Iterator[str]:
    """Refuse functions that call themselves: compiled code has no limit on that."""
    calls = {
        source.function: [
            python_function(source.function.__globals__[name])
            for name in source.function.__code__.co_names
            if callable(source.function.__globals__.get(name))
        ]
        for source in sources(function, set())
    }
    try:
        TopologicalSorter(calls).prepare()
    except CycleError as error:
        code = error.args[1][0].__code__
        names = " -> ".join(f.__name__ for f in reversed(error.args[1]))
        yield (
            f"{code.co_filename}, line {code.co_firstlineno}: {names} calls itself: "
            "use a loop"
        )


def wrong_signature(source: Source, parameters: tuple[str, ...]) -> Iterator[str]:
    """Refuse another number of parameters than the engine passes."""
    found = len(source.tree.args.args)
    if found != len(parameters):
        yield (
            f"{source.place(source.tree)}: {source.tree.name}() takes {found} "
            f"parameters: it is called with {len(parameters)}, {', '.join(parameters)}"
        )


def unknown_names(source: Source) -> Iterator[str]:
    """Refuse names that nobody defines."""
    known = {**vars(builtins), **source.function.__globals__}
    missing = {
        code.argval  # co_names has the names of attributes too
        for code in dis.get_instructions(source.function)
        if code.opname == "LOAD_GLOBAL" and code.argval not in known
    }
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id in missing:
            advice = nearest(node.id, [*source.function.__globals__, *vars(bricks)])
            yield f"{source.place(node)}: name {node.id!r} is not defined{advice}"


def unknown_fields(
    source: Source, records: Mapping[str, np.dtype[Any]], parameters: tuple[str, ...]
) -> Iterator[str]:
    """Refuse fields that the records called by these names do not have."""
    names = [argument.arg for argument in source.tree.args.args]
    roles = dict(zip(names, parameters or names, strict=False))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            dtype = records.get(roles.get(node.value.id, ""))
            fields = dtype.names if dtype is not None else None
            if fields is not None and node.attr not in fields:
                yield (
                    f"{source.place(node)}: {node.value.id} has no field "
                    f"{node.attr!r}{nearest(node.attr, fields)}"
                )


def wrong_calls(source: Source) -> Iterator[str]:
    """Refuse calls with arguments that the function called does not take."""
    for node in ast.walk(source.tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        called = source.function.__globals__.get(node.func.id)
        called = python_function(called) if callable(called) else None
        starred = any(isinstance(argument, ast.Starred) for argument in node.args)
        if not isinstance(called, types.FunctionType) or starred:
            continue
        words = {keyword.arg: None for keyword in node.keywords if keyword.arg}
        try:
            inspect.signature(called).bind(*node.args, **words)
        except TypeError as error:
            parameters = ", ".join(inspect.signature(called).parameters)
            yield (
                f"{source.place(node)}: {node.func.id}({parameters}) is called with "
                f"other arguments: {error}"
            )


def not_compiled(source: Source) -> Iterator[str]:
    """Refuse what only Python can do: calls of its functions, changes of globals."""
    nodes = (node for part in source.tree.body for node in ast.walk(part))
    for node in nodes:
        if isinstance(node, ast.Global):
            yield (
                f"{source.place(node)}: global {', '.join(node.names)}: compiled code "
                "cannot change it: keep it in a field of 'state'"
            )
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        name = node.func.id
        called = source.function.__globals__.get(name)
        if isinstance(called, types.FunctionType):
            yield (
                f"{source.place(node)}: {name}() is not compiled: put @jit of "
                "rmqueue.mm.jit above it"
            )
        elif called is None and name in PYTHON_ONLY:
            yield f"{source.place(node)}: compiled code cannot call {name}()"


def missing_returns(source: Source) -> Iterator[str]:
    """Refuse paths that return nothing."""
    advice = "return a page, or -1 if there is none"
    for node in empty_returns(source.tree):
        yield f"{source.place(node)}: returns nothing: {advice}"
    if not always_leaves(source.tree.body):
        last = source.tree.body[-1]
        yield (
            f"{source.place(last)}: {source.tree.name}() can end here without a "
            f"return: {advice}"
        )


def empty_returns(tree: ast.FunctionDef) -> list[ast.Return]:
    """Find the returns of a function that give nothing back."""
    returns = [node for node in ast.walk(tree) if isinstance(node, ast.Return)]
    return [
        node
        for node in returns
        if node.value is None
        or (isinstance(node.value, ast.Constant) and node.value.value is None)
    ]


def gives_something(tree: ast.FunctionDef) -> bool:
    """Whether a function gives anything back."""
    returns = [node for node in ast.walk(tree) if isinstance(node, ast.Return)]
    return len(returns) > len(empty_returns(tree))


def looks_for_none(tree: ast.FunctionDef) -> bool:
    """Whether a function compares anything with None."""
    return any(
        isinstance(node, ast.Compare)
        and any(
            isinstance(c, ast.Constant) and c.value is None for c in node.comparators
        )
        for node in ast.walk(tree)
    )


def half_returns(source: Source, none_is_known: bool) -> Iterator[str]:
    """Refuse helpers that give something back on some paths only."""
    name, advice = source.tree.name, "return a number on every path, or on none"
    if not gives_something(source.tree):
        return
    for node in empty_returns(source.tree):
        if node.value is None or not none_is_known:
            yield f"{source.place(node)}: {name}() returns nothing here: {advice}"
    if not always_leaves(source.tree.body):
        last = source.tree.body[-1]
        yield f"{source.place(last)}: {name}() can end here without a return: {advice}"


def unused_results(source: Source) -> Iterator[str]:
    """Refuse to use what a helper gives back if it gives nothing back."""
    alone = {node.value for node in ast.walk(source.tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(source.tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        called = source.function.__globals__.get(node.func.id)
        if node in alone or not hasattr(called, "overloads"):
            continue
        first = next(sources(called, set()), None)
        if first is not None and not gives_something(first.tree):
            yield (
                f"{source.place(node)}: {node.func.id}() returns nothing: return a "
                "number in it"
            )


def always_leaves(body: list[ast.stmt]) -> bool:
    """Whether no path runs off the end of some statements."""
    last = body[-1] if body else None
    if isinstance(last, (ast.Return, ast.Raise, ast.Try, ast.Match)):
        return True  # of the rarer ones the compiler judges
    if isinstance(last, ast.With):
        return always_leaves(last.body)
    if isinstance(last, ast.If):
        return always_leaves(last.body) and always_leaves(last.orelse)
    if isinstance(last, ast.While):
        endless = isinstance(last.test, ast.Constant) and bool(last.test.value)
        return endless and not any(isinstance(n, ast.Break) for n in ast.walk(last))
    return False


def nearest(name: str, known: Iterable[str]) -> str:
    """Advice to use the nearest known name; nothing if none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def compiler_words(error: Exception, function: Callable[..., Any]) -> str:
    """Reduce the compiler's message to place and complaint.

    The innermost line of the author's own code is named; if the message has none, the
    strategy itself is.
    """
    text = re.sub(r"Record\(\[.*?\], \d+, \w+\)", "record", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    at = [
        (path, line)
        for path, line in re.findall(r"^During: .* at (.+) \((\d+)\)$", text, re.M)
        if not path.startswith(str(cache_root()))
    ]
    code = python_function(function).__code__
    path, number = at[0] if at else (code.co_filename, str(code.co_firstlineno))
    said = [line for line in lines if not line.startswith(("Failed in", "During:"))]
    complaint = said[0] if said else type(error).__name__
    if complaint.endswith(":"):  # what it announces stands in the next line
        complaint += " " + said[1].removeprefix(">>> ")
    wrong = re.search(r"<intrinsic whole>.* signature: whole\((.*)\)$", complaint)
    if wrong:
        advice = "return a page, or -1 if there is none; from a refill, a whole number"
        complaint = f"returns {wrong[1]}: {advice}"
    return f"{path}, line {number}: {complaint}"
