"""The closed loop: what an independent kernel traced, the model predicts to the page.

The kernel is ``tests.unit.kernel_double``: the plain allocator, with the events of a
real kernel of each version.  A model of another kernel must be found out.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rmqueue.mm.jit import ENABLED
from rmqueue.trace.free_run import run_free
from rmqueue.trace.plan import make_plan
from rmqueue_plugins.readers.evidence import read_evidence
from tests.unit.closed_loop import (
    Machine,
    assert_exact,
    assert_lawful,
    follow,
    record,
)
from tests.unit.kernel_double import KERNELS
from tests.unit.kernel_load import ALLOC, DRAIN, FREE, RELEASE, Burst, bursts

#: First page and pages: whole blocks of order 10, ends that cut one, or a pageblock.
SPANS = ((1024, 2048), (512, 3072), (1536, 2560), (576, 2112))
SETTINGS = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=25 if ENABLED else 1,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),  # a smaller example of the same fault takes minutes
)
BURSTS = st.builds(
    Burst,
    what=st.sampled_from((ALLOC, ALLOC, FREE, FREE, RELEASE, DRAIN)),
    cpu=st.integers(0, 2),
    order=st.sampled_from((0, 0, 0, 1, 2, 3, 4, 5, 9)),
    mt=st.integers(0, 2),
    count=st.integers(1, 40),
    at=st.integers(0, 999),
)


@st.composite
def machines(draw: st.DrawFn, kernel: str) -> Machine:
    """Draw a zone that was used before."""
    return Machine(
        kernel,
        span=draw(st.sampled_from(SPANS)),
        cpus=draw(st.integers(1, 3)),
        batch=draw(st.sampled_from((1, 3, 7, 15))),
        seed=draw(st.integers(0, 99)),
        left=draw(st.sampled_from((100, 300, 800, 1800))),
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_a_kernel_does_is_predicted(
    kernel: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("recording")

    @SETTINGS
    @given(machine=machines(kernel), work=st.lists(BURSTS, min_size=5, max_size=30))
    def check(machine: Machine, work: list[Burst]) -> None:
        double = record(machine, work, folder)
        found = follow(folder)
        assert_exact(found)
        assert_lawful(found, double)

    check()


#: Recordings that once were not explained, and why.
ONCE = {
    "a claim after a steal in one batch": Machine("6.10.14", (1536, 2560), 1, 15, 8),
    "a block of a preferred type": Machine("6.12.117", (1536, 2048), 2, 7, 12, 800),
    "a drain of other lists": Machine("6.12.117", (1024, 3072), 2, 7, 2),
    "a page drained twice": Machine("6.9.12", (576, 3072), 2, 15, 45, 800),
    "a mark looked at before": Machine("7.3.4", (512, 4096), 3, 3, 229, 100),
}


@pytest.mark.slow
@pytest.mark.parametrize("machine", ONCE.values(), ids=list(ONCE))
def test_what_once_was_not_explained(machine: Machine, tmp_path: Path) -> None:
    double, take = machine.worked(40)
    take.write(tmp_path)
    found = follow(tmp_path)
    assert_exact(found)
    assert_lawful(found, double)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
def test_nothing_of_it_needs_look_ahead(kernel: str, tmp_path: Path) -> None:
    double, take = Machine(kernel, seed=5).worked(40)
    take.write(tmp_path)
    assert_exact(follow(tmp_path, strict=True))
    (tmp_path / "state-end.json.xz").unlink()
    found = follow(tmp_path)
    assert found.ending is None
    assert_exact(found)
    assert_lawful(found, double)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "wrong"),
    [
        ("6.1.192", "claim-whole-block"),
        ("6.9.12", "steal-smallest-buddy"),
        ("6.10.14", "steal-smallest-buddy"),
        ("6.10.14", "remembered-fallback"),
        ("6.12.117", "claim-whole-block"),
        ("6.15.1", "claim-whole-block"),
        ("7.3.4", "none"),
    ],
)
def test_another_strategy_is_found_out(
    kernel: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KERNELS, "6.15.1", ("6.14", "steal-smallest-buddy"))
    _, take = Machine(kernel, batch=15, left=500).worked(60)
    take.write(tmp_path)
    right = follow(tmp_path, KERNELS[kernel][1]).score
    found = follow(tmp_path, wrong).score
    assert right.exact == right.pages == found.pages
    assert found.exact < 0.99 * found.pages
    assert found.first_miss > 0
    assert found.misses.total() == found.pages - found.exact
    assert len(found.missed_batches) > 0
    assert found.predicted != right.predicted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "wrong"),
    [("6.1.192", "6.9"), ("6.12.117", "7.3"), ("6.18.15", "6.14"), ("7.3.4", "6.14")],
)
def test_another_kernel_profile_is_found_out(
    kernel: str, wrong: str, tmp_path: Path
) -> None:
    _, take = Machine(kernel, batch=15, left=500).worked(60)
    take.write(tmp_path)
    right, found = (follow(tmp_path, "", p).pcp.score for p in ("", wrong))
    assert right.explained == right.frees == found.frees
    assert found.explained < 0.99 * found.frees


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_free_run_needs_no_help(kernel: str, tmp_path: Path) -> None:
    machine = Machine(kernel, seed=1, left=800, boost=15000)
    work = [burst for burst in bursts(1, 40) if burst.what != DRAIN]
    record(machine, work, tmp_path)
    evidence = read_evidence(tmp_path)
    names = evidence.strategy, evidence.start[0].kernel
    found = run_free(evidence, make_plan(evidence, strict=False), *names)
    assert found.until == found.same == found.allocations > 300
    assert (found.line, found.failed, found.unmatched) == (0, 0, 0)
    assert found.refills == found.recorded_refills > 50
    assert found.fallbacks == found.recorded_fallbacks > 5


def test_work_takes_all_ways() -> None:
    kernels = [Machine("7.3.4", left=left).worked(80)[0] for left in (100, 3500)]
    text = "".join(line for kernel in kernels for line in kernel.trace)
    for words in (
        *("mm_page_alloc_zone_locked", "mm_page_pcpu_drain", "mm_page_free_batched"),
        *("change_ownership=0", "change_ownership=1", "order=9 migratetype"),
    ):
        assert words in text
