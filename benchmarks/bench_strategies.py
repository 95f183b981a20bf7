"""How fast strategies are on two streams: alone, and by the time of C.

The C program has the five kernels' own strategies; any other is measured by its
reference.  What strategies do is in `bench_results`.
"""

from __future__ import annotations

import time

from benchmarks.choice import QUICK, kernel_of, strategies, yardstick_variant
from benchmarks.compare_yardstick import ratio_to_yardstick
from benchmarks.streams import binary, load

STREAMS = ("bulkfrag",) if QUICK else ("bulkfrag", "fallback-1G")


class Strategies:
    """Thread CPU time of one replay of each strategy on each stream [s]."""

    params = (strategies(), STREAMS)
    param_names = ("strategy", "stream")
    timer = staticmethod(time.thread_time)
    number, warmup_time, timeout, version = 1, 0, 300, "1"

    def setup(self, strategy: str, name: str) -> None:
        stream = load(name, kernel_of(strategy))
        self.ops, self.zone = stream.ops, stream.zone(strategy)

    def time_replay(self, strategy: str, name: str) -> None:
        self.zone.replay(self.ops, record=False)


class AgainstC:
    """Time of each strategy by that of C on the same stream, in turns."""

    params = (strategies(), STREAMS)
    param_names = ("strategy", "stream")
    unit, timeout, version = "ratio", 300, "1"

    def setup(self, strategy: str, name: str) -> None:
        binary()
        self.stream = load(name, kernel_of(strategy))
        self.stream.zone(strategy)  # compile

    def track_ratio(self, strategy: str, name: str) -> float:
        return ratio_to_yardstick(self.stream, strategy, yardstick_variant(strategy))
