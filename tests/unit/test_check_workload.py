"""What ``rmqueue check`` says of workloads that do what they must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rmqueue.check import CHECKS
from rmqueue.ops import OPS_DTYPE
from rmqueue.registry import default_registry
from rmqueue.testing.checklist import FAILED, OK, SKIPPED, Result, Subject, perform
from rmqueue.testing.step_checks import FEW_STEPS
from rmqueue.types import NoParameters, StepWorkload, Workload
from tests.unit.authors import module_of
from tests.unit.test_check_plugin import result_of


def workload(rows: Any) -> Workload:
    def build(zone: object, parameters: object, seed: int) -> Any:
        return rows() if callable(rows) else rows

    return Workload("mine", "Mine.", NoParameters, build)


DRAWN = np.random.default_rng(1)


def drawn() -> Any:
    ops = np.zeros(10, OPS_DTYPE)
    ops["b"] = DRAWN.integers(0, 100, 10)
    return ops


@pytest.mark.parametrize(
    ("rows", "check", "words"),
    [
        (drawn, "determinism", "two streams differ"),
        ([[99, 0, 0, 0]], "stream", "has code [99]"),
        ([[1, 99, 0, 0]], "stream", "operation 0 asks for what a zone"),
        ([[2, 0, -1, 0]], "stream", "a negative number"),
        ([], "stream", "its stream is empty"),
        ("ops", "stream", "no op stream"),
    ],
)
def test_wrong_workloads(rows: Any, check: str, words: str) -> None:
    result = result_of("workload", workload(rows), check)
    assert result.status == FAILED
    assert words in result.message
    assert f"{__file__}, line " in result.message


# Steps -------------------------------------------------------------------------------

#: A workload that does everything right; each mistake replaces a piece of it.
CHURN = """\
import time

import numpy as np

from rmqueue.errors import ConfigError
from rmqueue.mm.mmzone import MOVABLE
from rmqueue.mm.queue import pop_oldest, push, queue_at
from rmqueue.mm.random import draw_below
from rmqueue.mm.reclaim import give_page, take_page
from rmqueue.mm.smp import ASLEEP, charge, cpu_of, zone_of
from rmqueue.types import NoParameters, StepWorkload


@jit
def start(smp, cpu, node, st, fallback):
    for index in range(smp.nr_cpus):
        cpu_of(smp, index).t_ps = index


@jit
def next_page(zone, cpu, held, fallback):
    page = take_page(zone, cpu, 0, MOVABLE, 1, 0, fallback)
    return page


@jit
def step(smp, cpu, node, st, fallback):
    zone, held = zone_of(node), queue_at(node.lru)
    before = zone.hold_total_ps
    if held.count >= st.keep:
        give_page(zone, cpu.cpu, pop_oldest(held))
    page = next_page(zone, cpu.cpu, held, fallback)
    charge(cpu, node, before)
    if page < 0:
        smp.failed = 1
        return
    push(held, page)
    smp.pages += 1
    cpu.t_ps += draw_below(smp, 1000)


WORKLOAD = StepWorkload(
    name="churn",
    summary="Takes pages and gives the oldest back.",
    parameters=NoParameters,
    numbers=lambda p, zone: {"keep": 100},
    start=start,
    step=step,
    pages=lambda p: 20_000,
    task_cpus=lambda zone: zone.cpus,
    state=(("seen", "4i8"),),
)
"""
TAKE = "take_page(zone, cpu, 0, MOVABLE, 1, 0, fallback)"
#: What it does wrong -> what stands there, what stands there instead, the check that
#: says so first, its words.
MISTAKES = {
    "a number that is none": (
        *('{"keep": 100}', '{"keep": 0.5}', "numbers"),
        "numbers() gives keep=0.5: steps read integers",
    ),
    "other numbers each time": (
        *('{"keep": 100}', '{"keep": time.monotonic_ns()}', "numbers"),
        "numbers() gives others the next time",
    ),
    "no numbers": ('{"keep": 100}', "None", "numbers", "numbers() returned None"),
    "a zone that it never likes": (
        *('{"keep": 100}', "exec(\"raise ConfigError('zone.cpus: 3')\")", "numbers"),
        "numbers() refuses zones of 16384 pages with 2, 4, 16, 64 CPUs: zone.cpus: 3",
    ),
    "a name twice": (
        *('("seen", "4i8")', '("keep", "i8")', "numbers"),
        "keep: a number and a field of state",
    ),
    "a type that is none": (
        *('("seen", "4i8")', '("seen", "int23")', "numbers"),
        "state cannot be a record",
    ),
    "no end": (
        *("lambda p: 20_000", "lambda p: 0", "numbers"),
        "pages() gives 0: it must be a whole number, 1 at least",
    ),
    "nothing left to measure": (
        *("    task_cpus=", "    skip_pages=lambda p: 20_000,\n    task_cpus="),
        "numbers",
        "skip_pages() is 20000, and pages() 20000",
    ),
    "more CPUs than there are": (
        *("lambda zone: zone.cpus", "lambda zone: zone.cpus + 1", "numbers"),
        "are 3 CPUs of a zone with 2",
    ),
    "a parameter too few": (
        *("def step(smp, cpu, node, st,", "def step(smp, cpu, node,", "steps"),
        "step() takes 4 parameters: it is called with 5, smp, cpu, node, st, fallback",
    ),
    "a misspelt field": (
        *("smp.pages += 1", "smp.page += 1", "steps"),
        "smp has no field 'page': did you mean 'pages'?",
    ),
    "a number that nobody gives": (
        *("st.keep", "st.kept", "steps"),
        "st has no field 'kept': did you mean 'keep'?",
    ),
    "an order too large": (
        *(TAKE, TAKE.replace("0, MOVABLE", "11, MOVABLE"), "pages"),
        "step 0 asks for a block of order 11: the orders of the zone go from 0 to 10",
    ),
    "a negative order": (
        *(TAKE, TAKE.replace("0, MOVABLE", "-1, MOVABLE"), "pages"),
        "asks for a block of order -1",
    ),
    "a type that one cannot ask for": (
        *(TAKE, TAKE.replace("MOVABLE", "3"), "pages"),
        "asks for migratetype 3: 0 is unmovable, 1 is movable, 2 is reclaimable",
    ),
    "lists of another machine": (
        *(TAKE, TAKE.replace("zone, cpu,", "zone, cpu + 7,"), "pages"),
        "uses the lists of CPU 7: the zone has those of 2, from 0",
    ),
    "flags and lru mixed up": (
        *(TAKE, TAKE.replace("1, 0, fallback", "32, 1, fallback"), "pages"),
        "asks with lru=32: it is 1 on an LRU list, else 0",
    ),
    "the same page twice": (
        *("    push(held, page)", "    give_page(zone, cpu.cpu, page)\n" * 2, "pages"),
        "which is not in use, or not the first of a block: give each block back once",
    ),
    "a page that is still kept": (
        "    push(held, page)",
        "    push(held, page)\n    if page & 7 == 7:\n"
        "        give_page(zone, cpu.cpu, page)",
        "pages",
        "step 108 gives back page 7, which is not in use",
    ),
    "no page": (
        *("if held.count >= st.keep", "if True", "pages"),
        "step 0 gives back page -1: a brick that found none returns it: ask before",
    ),
    "a page of nobody": (
        *("pop_oldest(held))", "zone.end)", "pages"),
        "which is not in the zone",
    ),
    "no page kept": (
        *("push(held, page)", "push(held, -1)", "pages"),
        "puts page -1 into a queue",
    ),
    "a loop that does not end": (
        *(
            "    charge(cpu",
            "    while page >= 0:\n        smp.now_ps += 1\n    charge(cpu",
        ),
        "pages",
        "step 0 does not end: leave this loop",
    ),
    "a clock that goes back": (
        *("cpu.t_ps += draw_below(smp, 1000)", "cpu.t_ps = 5 - smp.pages", "pages"),
        "moves the clock of CPU 1 back, from 3 to 2 ps: add to cpu.t_ps",
    ),
    "an index too large": (
        "    push(held, page)",
        "    push(held, page)\n    st.seen[smp.now_ps // 100] = 1",
        "pages",
        "IndexError: index ",
    ),
    "nothing happens": (
        "    zone, held = zone_of(node), queue_at(node.lru)\n",
        "    if smp.pages == 100:\n        return\n"
        "    zone, held = zone_of(node), queue_at(node.lru)\n",
        "pages",
        "100 steps of CPU 0 neither moved its clock nor counted a page",
    ),
    "pages that are not counted": (
        *("    smp.pages += 1\n", "", "progress"),
        "and smp.pages is 0: the run ends when it is pages(): count each page",
    ),
    "a draw of its own": (
        *("cpu.t_ps += draw_below(smp, 1000)", "cpu.t_ps += np.random.randint(1, 9)"),
        "determinism",
        "two runs differ in time: draw with rmqueue.mm.random from smp",
    ),
    "what numba does not know": (
        *("cpu.t_ps += draw_below(smp, 1000)", "cpu.t_ps += {1: 2, 'a': 3}[1]"),
        "compiles",
        "does not compile: ",
    ),
    "a state that is no record": (
        *('(("seen", "4i8"),)', '(("seen", "int99"),)', "numbers"),
        "line 49: state cannot be a record: data type 'int99' not understood",
    ),
    "a measure that is none": (
        "    task_cpus=",
        '    measures=lambda s: {"a_us": float("nan")},\n    task_cpus=',
        "measures",
        "measures() gives a_us=nan: give finite numbers",
    ),
    "measures that fail": (
        *("    task_cpus=", "    measures=lambda s: s.gone,\n    task_cpus="),
        "measures",
        "AttributeError: 'Simulation' object has no attribute 'gone'",
    ),
}


def churn(folder: Path, old: str = "", new: str = "") -> StepWorkload:
    text = CHURN.replace(old, new, 1) if old else CHURN
    assert not old or text != CHURN
    record: StepWorkload = module_of(folder, text).WORKLOAD
    return record


def results_of(record: StepWorkload) -> dict[str, Result]:
    """What comes of every check of a workload."""
    subject = Subject("workload", record, default_registry(), "my file")
    return {check.name: perform(check, subject) for check in CHECKS["workload"]}


def test_steps_that_are_right(tmp_path: Path) -> None:
    results = results_of(churn(tmp_path))
    stream = results.pop("stream")
    assert stream.status == SKIPPED
    assert stream.message.endswith("; this one takes steps")
    found = {name: (r.status, r.message) for name, r in results.items()}
    assert {status for status, _ in found.values()} == {OK}, found
    assert found["numbers"][1] == "2 of 2 CPUs run steps"
    assert found["pages"][1] == f"{FEW_STEPS} steps, {FEW_STEPS} pages"


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_steps_that_are_wrong(tmp_path: Path, mistake: str) -> None:
    """One check fails first, and says what is wrong and where."""
    old, new, check, words = MISTAKES[mistake]
    record = churn(tmp_path, old, new)
    results = list(results_of(record).values())
    failed = [result for result in results if result.status == FAILED]
    assert failed
    assert failed[0].check.name == check
    message = failed[0].message
    assert words in message
    assert message.count("workload 'churn'") == 1
    assert f"{tmp_path}" in message
    assert ", line " in message
    if check in ("steps", "pages"):  # what follows does not run, and says the same
        assert {result.message for result in failed} == {message}


@pytest.mark.slow
def test_a_zone_too_small(tmp_path: Path) -> None:
    results = results_of(churn(tmp_path, '"keep": 100', '"keep": 1 << 20'))
    assert results["pages"].status == OK
    assert results["progress"].status == SKIPPED
    assert "no page left in a zone of 64 MiB" in results["progress"].message
