"""A recording of ``kernel_double``, followed by the code that validates recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rmqueue.registry import default_registry
from rmqueue.trace.ending import Ending, compare_end
from rmqueue.trace.pcp_follow import PcpPrediction
from rmqueue.trace.plan import make_plan
from rmqueue.trace.predict import Prediction
from rmqueue.trace.score import Score
from rmqueue.types import Evidence
from rmqueue.validate import find_evidence
from tests.unit.kernel_double import Double, Take
from tests.unit.kernel_load import Burst, bursts, do, fill


@dataclass(frozen=True)
class Machine:
    """A kernel, its zone, and how it is worn before the recording begins.

    The kernel never hands out pfn 0, so that no zone begins there.
    """

    kernel: str
    span: tuple[int, int] = (512, 4096)  # first page, pages
    cpus: int = 2
    batch: int = 7
    seed: int = 0
    left: int = 300
    boost: int = 0  # watermark_boost_factor; raised marks are not in the trace

    def boot(self) -> Double:
        start, pages = self.span
        fields = {"start_pfn": start, "pages": pages, "cpus": self.cpus}
        kernel = Double(
            self.kernel, self.batch, watermark_boost_factor=self.boost, **fields
        )
        fill(kernel, self.seed, self.left)
        return kernel

    def worked(self, count: int) -> tuple[Double, Take]:
        """After work at random, all of it recorded."""
        kernel = self.boot()
        take = Take(kernel)
        for burst in bursts(self.seed + 10, count, self.cpus):
            do(kernel, burst)
        return kernel, take


@dataclass(frozen=True, eq=False)
class Followed:
    """What was found out about a recording."""

    evidence: Evidence
    score: Score
    ending: Ending | None
    pcp: PcpPrediction


def record(machine: Machine, work: list[Burst], folder: Path) -> Double:
    """Record what a kernel does."""
    kernel = machine.boot()
    take = Take(kernel)
    for burst in work:
        do(kernel, burst)
    take.write(folder)
    return kernel


def follow(
    folder: Path, strategy: str = "", profile: str = "", strict: bool = False
) -> Followed:
    """Follow a recording with its own strategy and kernel profile, or others."""
    evidence = find_evidence(str(folder), default_registry())
    profile = profile or evidence.start[0].kernel
    prediction = Prediction(evidence, strategy or evidence.strategy, profile, strict)
    score = prediction.run()
    ending = compare_end(prediction.zones, evidence.end)
    pcp = PcpPrediction(evidence, make_plan(evidence, strict=False), profile)
    pcp.run()
    return Followed(evidence, score, ending, pcp)


def assert_exact(found: Followed) -> None:
    """Nothing had to be inferred: each page, fallback and list is as predicted."""
    score, ending = found.score, found.ending
    assert (score.exact, score.first_miss) == (score.pages, 0)
    assert (dict(score.misses), dict(score.mended)) == ({}, {})
    assert score.exact_batches == score.batches
    assert score.predicted == score.recorded
    assert score.drains_elsewhere == 0
    if ending is not None:
        assert ending == Ending(ending.lists, ending.lists, 0, 0, 0)


def assert_lawful(found: Followed, kernel: Double) -> None:
    """Per-CPU lists were refilled and drained by the rules, and end as they should."""
    score = found.pcp.score
    assert score.exact_refills == score.refills
    assert score.explained == score.frees
    # a refill of one page of a batch of one is no other than a page past the lists
    assert set(score.notes) <= {"explained", "drained by others"}
    assert (score.flips, score.cut_short) == (0, 0)
    (zone,) = found.pcp.zones
    for cpu, pcp in enumerate(kernel.pcps):
        assert list(map(list, zone.lists[cpu])) == list(map(list, pcp.lists))
        for name in kernel.pcp_fields:
            field = "free_count" if name == "free_factor" else name
            assert int(zone._pcps[cpu][field]) == getattr(pcp, name), (cpu, name)
    assert zone.nr_free == kernel.nr_free
