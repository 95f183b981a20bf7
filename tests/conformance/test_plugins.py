"""Every other installed plugin, by the tests that strangers run on theirs."""

from __future__ import annotations

import pytest

from rmqueue.registry import default_registry
from rmqueue.testing.checklist import OK, Subject, perform
from rmqueue.testing.conformance import (
    MachineConformance,
    ReaderConformance,
    ReporterConformance,
    WorkloadConformance,
)
from rmqueue.testing.plugin_checks import EXPERIMENT_CHECKS
from tests.conformance.made import make_tests

REGISTRY = default_registry()

for base, kind, attribute in (
    (WorkloadConformance, "workload", "workload"),
    (MachineConformance, "machine", "machine"),
    (ReaderConformance, "trace reader", "reader"),
    (ReporterConformance, "reporter", "reporter"),
):
    globals().update(make_tests(base, attribute, REGISTRY.names(kind)))


@pytest.mark.parametrize("name", REGISTRY.names("experiment"))
def test_experiments(name: str) -> None:
    subject = Subject("experiment", REGISTRY.experiment(name), REGISTRY)
    for check in EXPERIMENT_CHECKS:
        assert perform(check, subject).status == OK
