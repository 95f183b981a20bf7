"""Every installed strategy, by the tests that strangers run on theirs."""

from __future__ import annotations

import pytest

from rmqueue.registry import default_registry
from rmqueue.testing.checklist import OK, SKIPPED, Check, Subject, perform
from rmqueue.testing.conformance import StrategyConformance
from rmqueue.testing.strategy_checks import STRATEGY_CHECKS
from tests.conformance.made import make_tests

NAMES = default_registry().names("strategy")
#: What the kernel does, and what is only remarked on in strategies of others.
REMARKED = [check for check in STRATEGY_CHECKS if check.name in ("nofragment", "cma")]

globals().update(make_tests(StrategyConformance, "strategy", NAMES))


def test_strategies_are_installed() -> None:
    assert len(NAMES) >= 6


@pytest.mark.parametrize("check", REMARKED, ids=lambda check: check.name)
@pytest.mark.parametrize("name", NAMES)
def test_ours_do_as_the_kernel_does(name: str, check: Check) -> None:
    registry = default_registry()
    result = perform(check, Subject("strategy", registry.strategy(name), registry))
    assert result.status in (OK, SKIPPED)
    assert result.status == SKIPPED or not result.message
