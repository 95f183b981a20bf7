"""Any order of requests leaves every zone whole, on every kernel, by any strategy."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from rmqueue.mm.jit import ENABLED
from rmqueue.mm.profile import PROFILES
from rmqueue.registry import default_registry
from tests.property.machines import ZoneMachine

PAIRS = [
    (kernel, name)
    for kernel, profile in PROFILES.items()
    for name in default_registry().names("strategy")
    if profile.mixed_lists or not default_registry().strategy(name).mixed_lists
]
SETTINGS = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=30 if ENABLED else 2,
    stateful_step_count=40 if ENABLED else 15,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(("kernel", "strategy"), PAIRS)
def test_no_step_breaks_a_zone(kernel: str, strategy: str) -> None:
    machine = type("Machine", (ZoneMachine,), {"kernel": kernel, "strategy": strategy})
    run_state_machine_as_test(machine, settings=SETTINGS)
