"""Work for the kernel of ``kernel_double``: bursts of requests, frees and drains."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.naive import MOVABLE, UNMOVABLE
from tests.unit.kernel_double import Double

#: What a burst does.
ALLOC, FREE, RELEASE, DRAIN = "alloc", "free", "release", "drain"


@dataclass(frozen=True)
class Burst:
    """The same thing several times on one CPU."""

    what: str
    cpu: int = 0
    order: int = 0
    mt: int = MOVABLE
    count: int = 1
    at: int = 0


def do(kernel: Double, burst: Burst) -> None:
    """Do what a burst says."""
    cpu = burst.cpu % kernel.config.cpus
    if burst.what == DRAIN:
        kernel.drain_all(cpu)
    elif burst.what == RELEASE:
        kernel.release(cpu, burst.at, burst.count)
    else:
        for step in range(burst.count):
            if burst.what == ALLOC:
                kernel.request(cpu, burst.order, burst.mt)
            else:
                kernel.give_back(cpu, burst.at + 7 * step)


def fill(kernel: Double, seed: int, left: int = 512) -> None:
    """Use a zone up but for some pages, and free every third block.

    What is left is in pieces all over movable and unmovable pageblocks.
    """
    random = Random(seed)
    cpus = kernel.config.cpus
    while kernel.nr_free > left:
        mt = random.choices(range(3), (5, 4, 1))[0]
        order = random.choice((0, 0, 0, 0, 1, 2, 3, 4))
        burst = Burst(ALLOC, random.randrange(cpus), order, mt, random.randrange(1, 40))
        before = kernel.nr_free
        do(kernel, burst)
        if kernel.nr_free == before and order > 0:
            break
    for _ in range(len(kernel.held) // 3):
        kernel.give_back(random.randrange(cpus), random.randrange(len(kernel.held)))
    kernel.request(0, 0, UNMOVABLE)


def bursts(seed: int, count: int, cpus: int = 2) -> list[Burst]:
    """Work at random."""
    random = Random(seed)
    return [
        Burst(
            random.choices((ALLOC, FREE, RELEASE, DRAIN), (6, 4, 2, 1))[0],
            random.randrange(cpus),
            random.choice((0, 0, 0, 0, 1, 2, 3, 4, 5, 9)),
            random.randrange(3),
            random.randrange(1, 40),
            random.randrange(1000),
        )
        for _ in range(count)
    ]
