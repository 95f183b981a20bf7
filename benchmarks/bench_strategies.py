"""What strategies cost on two streams: time, and what they did (never changes)."""

from __future__ import annotations

import time

from benchmarks.streams import load

#: strategy -> kernel profile it runs on.
STRATEGIES = {
    "none": "6.14",
    "greedy-steal": "6.9",
    "claim-whole-block": "6.14",
    "steal-smallest-buddy": "6.14",
    "remembered-fallback": "6.14",
    "tight-fallback": "7.3",
}


class Strategies:
    """One replay of each strategy on each stream."""

    params = (tuple(STRATEGIES), ("bulkfrag", "fallback-1G"))
    param_names = ("strategy", "stream")
    timer = staticmethod(time.thread_time)
    number, warmup_time, timeout = 1, 0, 300

    def setup(self, strategy: str, name: str) -> None:
        stream = load(name, STRATEGIES[strategy])
        self.ops, self.zone = stream.ops, stream.zone(strategy)

    def time_replay(self, strategy: str, name: str) -> None:
        self.zone.replay(self.ops, record=False)

    def track_pages_served(self, strategy: str, name: str) -> float:
        result = self.zone.replay(self.ops, record=False)
        return result.served / result.asked

    def track_pages_scanned(self, strategy: str, name: str) -> int:
        return self.zone.replay(self.ops, record=False).counters["scan_page"]

    def track_lists_looked_at(self, strategy: str, name: str) -> int:
        return self.zone.replay(self.ops, record=False).counters["head"]

    def track_pages_polluted(self, strategy: str, name: str) -> int:
        fallbacks = self.zone.replay(self.ops, record=False).fallbacks
        return int(fallbacks.pollute.sum())
