"""Tests for plugins: subclass one of these classes, and pytest runs its checks.

.. code-block:: python

    from rmqueue.testing.conformance import StrategyConformance


    class TestMyIdea(StrategyConformance):
        strategy = "my-idea"

Each check is a test of its own, which a subclass may override: to mark it, or to say
that a rule is not its own.  ``rmqueue check my-idea`` runs the same checks without
pytest, which only this module needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import pytest

from rmqueue.registry import Registry, default_registry
from rmqueue.testing.checklist import FAILED, SKIPPED, Check, Subject, perform
from rmqueue.testing.plugin_checks import (
    MACHINE_CHECKS,
    READER_CHECKS,
    REPORTER_CHECKS,
)
from rmqueue.testing.strategy_checks import STRATEGY_CHECKS
from rmqueue.testing.workload_checks import WORKLOAD_CHECKS
from rmqueue.types import (
    Machine,
    Reporter,
    StepWorkload,
    Strategy,
    TraceReader,
    Workload,
)


class Conformance:
    """What the classes of all kinds have in common.

    Attributes
    ----------
    kind : str
        A key of `rmqueue.loader.KINDS`.
    registry : Registry or None
        Where names are looked up; None: what is installed.
    """

    kind: ClassVar[str]
    registry: ClassVar[Registry | None] = None

    @classmethod
    def wanted(cls) -> Any:
        """Name of what is checked, or the record itself."""
        raise NotImplementedError

    @classmethod
    def subject(cls) -> Subject:
        """Look up what is checked."""
        registry, wanted = cls.registry or default_registry(), cls.wanted()
        if not isinstance(wanted, str):
            return Subject(cls.kind, wanted, registry)
        entry = registry.find(cls.kind, wanted)
        return Subject(cls.kind, entry.record, registry, str(entry.provenance))


def tests_of(checks: Iterable[Check]) -> Callable[[type], type]:
    """Give a class a test for each check."""

    def decorate(cls: type) -> type:
        for check in checks:
            name = f"test_{check.name}"
            test = make_test(check)
            test.__name__, test.__qualname__ = name, f"{cls.__qualname__}.{name}"
            test.__doc__ = check.words
            setattr(cls, name, test)
        return cls

    return decorate


def make_test(check: Check) -> Callable[[Any], None]:
    """Make a test of a check."""

    def test(self: Conformance) -> None:
        result = perform(check, self.subject())
        if result.status == SKIPPED:
            pytest.skip(result.message)
        if result.status == FAILED:
            pytest.fail(result.message, pytrace=False)

    return test


@tests_of(STRATEGY_CHECKS)
class StrategyConformance(Conformance):
    """Tests of a strategy.

    Attributes
    ----------
    strategy : str or Strategy
        Name of an installed one, or the record itself.
    """

    kind = "strategy"
    strategy: ClassVar[str | Strategy]

    @classmethod
    def wanted(cls) -> str | Strategy:
        """Name or record of the strategy."""
        return cls.strategy


@tests_of(WORKLOAD_CHECKS)
class WorkloadConformance(Conformance):
    """Tests of a workload.

    Attributes
    ----------
    workload : str, Workload or StepWorkload
        Name of an installed one, or the record itself.
    """

    kind = "workload"
    workload: ClassVar[str | Workload | StepWorkload]

    @classmethod
    def wanted(cls) -> str | Workload | StepWorkload:
        """Name or record of the workload."""
        return cls.workload


@tests_of(MACHINE_CHECKS)
class MachineConformance(Conformance):
    """Tests of a machine.

    Attributes
    ----------
    machine : str or Machine
        Name of an installed one, or the record itself.
    """

    kind = "machine"
    machine: ClassVar[str | Machine]

    @classmethod
    def wanted(cls) -> str | Machine:
        """Name or record of the machine."""
        return cls.machine


@tests_of(READER_CHECKS)
class ReaderConformance(Conformance):
    """Tests of a trace reader.

    Attributes
    ----------
    reader : str or TraceReader
        Name of an installed one, or the record itself.
    """

    kind = "trace reader"
    reader: ClassVar[str | TraceReader]

    @classmethod
    def wanted(cls) -> str | TraceReader:
        """Name or record of the trace reader."""
        return cls.reader


@tests_of(REPORTER_CHECKS)
class ReporterConformance(Conformance):
    """Tests of a reporter.

    Attributes
    ----------
    reporter : str or Reporter
        Name of an installed one, or the record itself.
    """

    kind = "reporter"
    reporter: ClassVar[str | Reporter]

    @classmethod
    def wanted(cls) -> str | Reporter:
        """Name or record of the reporter."""
        return cls.reporter
