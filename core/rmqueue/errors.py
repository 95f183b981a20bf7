"""Everything rmqueue raises on purpose: `RmqueueError` and its children.

The command line prints the message alone and leaves with the class's `exit_status`, so
a message says what was asked, what was found, and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar


class RmqueueError(Exception):
    """Base of all errors of rmqueue.

    Attributes
    ----------
    exit_status : int
        Exit status of the command line when this ends it.
    """

    exit_status: ClassVar[int] = 1


class UsageError(RmqueueError):
    """Something was asked for that does not exist or does not go together."""

    exit_status = 2


class ConfigError(UsageError):
    """A configuration or experiment file is wrong."""


class UnknownNameError(UsageError):
    """A name that nobody answers to, with the nearest known ones.

    Parameters
    ----------
    kind : str
        What was looked for, as one says it: ``"strategy"``.
    name : str
        The name that was asked for.
    known : iterable of str
        The names that exist.
    where : str
        File that asks for it, if one does.

    Examples
    --------
    >>> print(UnknownNameError("strategy", "grab", ["none", "greedy-steal"]))
    no strategy is called 'grab': choose from greedy-steal, none
    >>> print(UnknownNameError("kernel", "6.41", ["6.9", "6.14", "7.3"]))
    no kernel is called '6.41': did you mean '6.14'?
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], where: str = ""
    ) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        self.where = where
        place = f"{where}: " if where else ""
        super().__init__(f"{place}no {kind} is called {name!r}: {self._advice()}")

    def _advice(self) -> str:
        """Nearest names if there are any, all names otherwise."""
        import difflib  # only on this path: the façade starts without it

        near = difflib.get_close_matches(self.name, self.known, n=3, cutoff=0.6)
        if near:
            return "did you mean " + " or ".join(map(repr, near)) + "?"
        if self.known:
            return "choose from " + ", ".join(self.known)
        return "none is installed"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.kind, self.name, self.known, self.where)


class OutputError(RmqueueError):
    """A result could not be written."""


class PluginError(RmqueueError):
    """A plugin could not be loaded, or did not keep to its contract."""

    exit_status = 3


class StrategyError(PluginError):
    """A strategy returned something that the engine cannot use."""


class SimulationError(RmqueueError):
    """A simulated machine cannot go on."""

    exit_status = 7


class BenchError(RmqueueError):
    """Something could not be measured, or what was measured cannot be read."""

    exit_status = 8


class TraceError(RmqueueError):
    """A recording or an op stream cannot be read."""

    exit_status = 4


class RecordError(RmqueueError):
    """A kernel could not be recorded.

    The exit status is that of other tools that run a command (env, timeout): the
    command's own status is passed on, and hardly ever is this one.
    """

    exit_status = 125


class CommandNotFoundError(RecordError):
    """The command to record does not exist, or is not executable."""

    exit_status = 127


class InvariantError(RmqueueError):
    """The state of a zone contradicts itself.

    Parameters
    ----------
    invariant : str
        Name of the invariant, the name of its function in `rmqueue.mm.check`.
    pfn : int or None
        Page at which the breach shows, absolute.
    order : int or None
        Order of the block concerned.
    expected, found : object
        What the invariant asks for, and what is there.

    Examples
    --------
    >>> print(InvariantError("nr_free", None, None, expected=512, found=511))
    invariant nr_free is broken: expected 512, found 511
    >>> print(InvariantError("buddies_merged", 8, 0, "an order-1 block", "two of 0"))
    invariant buddies_merged is broken at pfn 8, order 0: expected an order-1 block, \
found two of 0
    """

    exit_status = 5

    def __init__(
        self,
        invariant: str,
        pfn: int | None,
        order: int | None,
        expected: object,
        found: object,
    ) -> None:
        self.invariant, self.pfn, self.order = invariant, pfn, order
        self.expected, self.found = expected, found
        where = f" at pfn {pfn}" if pfn is not None else ""
        where += f", order {order}" if order is not None else ""
        super().__init__(
            f"invariant {invariant} is broken{where}: "
            f"expected {expected}, found {found}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self.invariant,
            self.pfn,
            self.order,
            self.expected,
            self.found,
        )


class AllocatorError(RmqueueError):
    """A request that the zone cannot honour; the zone is as it was before.

    Parameters
    ----------
    message : str
        What was asked, and the true state of the page.
    pfn : int or None
        The page concerned, absolute.
    """

    exit_status = 6

    def __init__(self, message: str, pfn: int | None = None) -> None:
        self.pfn = pfn
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.pfn)


class PfnError(AllocatorError):
    """A pfn outside the zone."""


class OrderError(AllocatorError):
    """An order that the zone does not have, or not the one a block was given with."""


class DoubleFreeError(AllocatorError):
    """The page is free already: on a free list or on a per-CPU list."""


class NotAllocatedError(AllocatorError):
    """The page is in use, but no block that was given to a caller begins there."""
