"""A strategy ready to run: its parameters and state as a record, and compiled code."""

from __future__ import annotations

import enum
import errno
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from rmqueue.config import StrategyConfig
from rmqueue.diagnosis import (
    PARAMETERS,
    REFILL_PARAMETERS,
    compiler_words,
    mistakes,
)
from rmqueue.errors import OutputError, PluginError, UsageError
from rmqueue.mm.alone import alone
from rmqueue.mm.direct import PythonFallback, PythonStrategy
from rmqueue.mm.jit import ENABLED, code_folder, is_compiled
from rmqueue.mm.profile import PROFILES
from rmqueue.mm.strategy import compile_strategy
from rmqueue.registry import Registry, default_registry
from rmqueue.runner import Fallback
from rmqueue.types import Strategy
from rmqueue.validation import check_defaults, place_of_field, validated


class BoundStrategy:
    """A strategy with its parameters, compiled, and with a state of its own.

    Parameters
    ----------
    strategy : str, Strategy or StrategyConfig
        Name of an installed strategy, the record itself (default parameters), or a name
        with parameters.
    kernel : str
        Kernel profile that it will run on.
    registry : Registry or None
        Where names are looked up; None: what is installed.

    Attributes
    ----------
    strategy : Strategy
        The record.
    params : pydantic.BaseModel
        Its checked parameters.
    state : ndarray, shape (1,)
        The record that jitted code sees as ``st``: parameters, then state fields.
    fallback : callable
        The compiled function.

    Raises
    ------
    UsageError
        No strategy of that name, wrong parameters, or a kernel that cannot run it.
    PluginError
        It does not compile, or its parameters cannot be handed to compiled code.
    """

    def __init__(
        self,
        strategy: str | Strategy | StrategyConfig,
        kernel: str,
        registry: Registry | None = None,
    ) -> None:
        if registry is not None and not isinstance(registry, Registry):
            raise UsageError(
                f"registry: a Registry is needed, found {registry!r}: parameters of a "
                "strategy are given as StrategyConfig(name=..., params=...)"
            )
        values: Any = {}
        if isinstance(strategy, StrategyConfig):
            values, strategy = strategy.params, strategy.name
        if isinstance(strategy, str):
            strategy = (registry or default_registry()).strategy(strategy)
        self.strategy = strategy
        check_pair(strategy, kernel)
        check_cache()
        check_parameters(strategy)
        self.params = validated(strategy.parameters, values, self.name, "params")
        self.state = initial_state(strategy, self.params)
        self.fallback = compiled(strategy, self.state.dtype)

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"strategy {self.strategy.name!r}"


def check_cache() -> None:
    """Refuse to compile without a folder for compiled code.

    Raises
    ------
    OutputError
        The folder cannot be made, or not be written.
    """
    folder = code_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise not_kept(error) from None


def not_kept(error: OSError) -> OutputError:
    """Say that compiled code cannot be kept, and what to do."""
    return OutputError(
        f"{code_folder()}: compiled code cannot be kept there: {error.strerror}: set "
        "RMQUEUE_CACHE_DIR to a folder that can be written"
    )


def check_pair(strategy: Strategy, kernel: str) -> None:
    """Refuse a strategy that needs lists which a kernel profile does not have."""
    if strategy.mixed_lists and not PROFILES[kernel].mixed_lists:
        able = " or ".join(name for name, p in PROFILES.items() if p.mixed_lists)
        raise UsageError(
            f"strategy {strategy.name!r} leaves blocks on lists of another type, "
            f"which kernel {kernel} does not allow: use kernel {able}"
        )


def initial_state(strategy: Strategy, params: BaseModel) -> npt.NDArray[np.void]:
    """Return the record of a strategy: its parameters, and its state, all zero.

    Raises
    ------
    PluginError
        A parameter is neither a number nor yes/no, a type of a state field does not
        exist, or a name is used twice.
    """
    fields = [
        (name, parameter_type(info.annotation))
        for name, info in type(params).model_fields.items()
    ]
    owner = f"strategy {strategy.name!r}"
    state = np.zeros(1, record_type(fields, strategy.state, owner))
    for name, _ in fields:
        try:
            state[name] = getattr(params, name)
        except (TypeError, ValueError, OverflowError) as error:
            raise PluginError(
                f"{owner}: {place_of_field(type(params), name)}: "
                f"parameter {name!r} is {getattr(params, name)!r}: {error}: give its "
                "range with ge= and le="
            ) from None
    return state


def record_type(
    fields: list[tuple[str, str]], state: tuple[tuple[str, str], ...], owner: str
) -> np.dtype[Any]:
    """Return the type of a plugin's record: its numbers, then its state.

    Raises
    ------
    PluginError
        The state of `owner` is no record.
    """
    try:
        with alone():  # numpy parses types like "14i8" as Python
            return np.dtype([*fields, *state] or [("unused", "i8")], align=True)
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"{owner}: its state {state!r} is no record: {error}: give (name, numpy "
            "dtype) pairs like ('tries', 'i8')"
        ) from None


def check_parameters(strategy: Strategy) -> None:
    """Refuse parameters that a strategy cannot have, before any value is given.

    Raises
    ------
    PluginError
        One is of a type that compiled code does not take, or has a wrong default.
    """
    model, name = strategy.parameters, f"strategy {strategy.name!r}"
    for field, info in model.model_fields.items():
        if not parameter_type(info.annotation):
            raise PluginError(
                f"{name}: {place_of_field(model, field)}: parameter {field!r} is of "
                f"type {info.annotation}: compiled code takes int, float and bool"
            )
    check_defaults(model, name)


def parameter_type(annotation: Any) -> str:
    """Numpy type of a parameter in the strategy's record; none if it has none."""
    kinds = {type(value) for value in get_args(annotation)}
    if get_origin(annotation) is not Literal:
        kinds = {annotation} if isinstance(annotation, type) else set()
    if kinds == {bool}:
        return "?"
    if kinds and all(issubclass(kind, (int, enum.IntEnum)) for kind in kinds):
        return "i8"
    if kinds and all(issubclass(kind, (int, float)) for kind in kinds):
        return "f8"
    return ""


def compiled(strategy: Strategy, state: np.dtype[Any]) -> Fallback:
    """Compile a strategy, or say in its name what is wrong with it."""
    found = [*wrong_with(strategy.fallback, state, PARAMETERS)]
    if strategy.refill is not None:
        found += wrong_with(strategy.refill, state, REFILL_PARAMETERS)
    if found:
        raise PluginError("\n".join(f"strategy {strategy.name!r}: {m}" for m in found))
    if ENABLED and isinstance(strategy.fallback, PythonStrategy):
        return PythonFallback(strategy.fallback, state, strategy.refill)
    try:
        return compile_strategy(strategy.fallback, state, strategy.refill)
    except OSError as error:
        raise not_kept(error) from None
    except Exception as error:
        words = compiler_words(error, strategy.fallback)
        raise PluginError(
            f"strategy {strategy.name!r} does not compile: {words}"
        ) from error


@lru_cache(256)
def wrong_with(
    function: Callable[..., Any], state: np.dtype[Any], parameters: tuple[str, ...]
) -> tuple[str, ...]:
    """Say what is wrong with one function of a strategy; nothing if all is well."""
    if is_compiled(function):
        return tuple(mistakes(function, state, parameters))
    name = getattr(function, "__name__", repr(function))
    return (
        f"its function {name!r} is not decorated: put @jit of rmqueue.mm.jit above it, "
        "or @strategy(jit=False) of rmqueue to let it stay Python",
    )
