"""A check of a plugin: what it is called, what it looks at, what came of it.

A check is a function of a `Subject`.  It raises `CheckError` with a message, raises
`NotCheckedError` with the reason if it does not apply, or returns a remark (``""`` if
there is none).  ``rmqueue check`` prints what came of the checks; the classes of
`rmqueue.testing.conformance` make tests of them.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from rmqueue.errors import PluginError, RmqueueError
from rmqueue.mm.jit import python_function
from rmqueue.registry import Registry

OK, FAILED, SKIPPED = "ok", "FAILED", "skipped"


class CheckError(PluginError):
    """A plugin does not do what its kind must."""


class NotCheckedError(Exception):
    """A check does not apply; the message is the reason."""


@dataclass(frozen=True)
class Subject:
    """The record that is checked.

    Attributes
    ----------
    kind : str
        A key of `rmqueue.loader.KINDS`.
    record : object
        A record of that kind.
    registry : Registry
        Where others are looked up.
    given : str
        Who offers it, in words.
    """

    kind: str
    record: Any
    registry: Registry
    given: str = ""

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.kind} {self.record.name!r}"

    @property
    def place(self) -> str:
        """File and line of its first function; who offers it if it has none."""
        for function in self.functions():
            code = getattr(function, "__code__", None)
            if code is not None:
                return f"{code.co_filename}, line {code.co_firstlineno}"
        return self.given

    def functions(self) -> Iterator[Callable[..., Any]]:
        """Yield the functions of the record, not those that it has by default."""
        for field in fields(self.record):
            value = getattr(self.record, field.name)
            plain = python_function(value) if callable(value) else None
            if inspect.isfunction(plain) and value is not field.default:
                yield plain


@dataclass(frozen=True)
class Check:
    """One thing that a plugin must do.

    Attributes
    ----------
    name : str
        Name of its test, without ``test_``.
    words : str
        What holds if it does.
    run : callable
        The check itself.
    of : tuple of type
        The records that it is about; none: all of its kind.
    elsewhere : str
        Why it says nothing of other records.
    """

    name: str
    words: str
    run: Callable[[Subject], str]
    of: tuple[type, ...] = ()
    elsewhere: str = ""

    def is_about(self, record: Any) -> bool:
        """Whether it says anything of a record."""
        return not self.of or isinstance(record, self.of)


@dataclass(frozen=True)
class Result:
    """What came of a check; the message is a reason or a remark."""

    check: Check
    status: str
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether the plugin failed it."""
        return self.status == FAILED


def perform(check: Check, subject: Subject) -> Result:
    """Run a check, whatever the plugin does."""
    if not check.is_about(subject.record):
        return Result(check, SKIPPED, check.elsewhere)
    try:
        return Result(check, OK, check.run(subject))
    except NotCheckedError as reason:
        return Result(check, SKIPPED, str(reason))
    except RmqueueError as error:
        message = str(error)
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        message = (
            f"{type(error).__name__}: {error} (raised in {at.filename}, line "
            f"{at.lineno})"
        )
    if subject.name not in message:
        message = f"{subject.name}: {message}"
    if subject.place.partition(", line")[0] not in message:
        message = message.replace(subject.name, f"{subject.name} ({subject.place})", 1)
    return Result(check, FAILED, message)


def require(holds: object, message: str) -> None:
    """Raise `CheckError` unless something holds."""
    if not holds:
        raise CheckError(message)
