"""How fast a replay is, alone and against the C program on the same stream."""

from __future__ import annotations

import statistics
import time

from benchmarks.compare_yardstick import rmqueue_seconds, yardstick_seconds
from benchmarks.streams import NAMES, binary, load


class Replay:
    """Thread CPU time of a replay on a zone whose set-up is done [s]."""

    params = NAMES
    param_names = ("stream",)
    timer = staticmethod(time.thread_time)
    number, warmup_time, timeout = 1, 0, 300

    def setup(self, name: str) -> None:
        stream = load(name)
        self.ops, self.zone = stream.ops, stream.zone()

    def time_replay(self, name: str) -> None:
        self.zone.replay(self.ops, record=False)


class AgainstC:
    """Time of rmqueue, which counts the kernel's work, by that of C."""

    params = NAMES
    param_names = ("stream",)
    unit, timeout = "ratio", 300

    def setup(self, name: str) -> None:
        self.stream = load(name)
        binary()
        rmqueue_seconds(self.stream, 1)

    def track_ratio(self, name: str) -> float:
        return self.ratio()

    def track_ratio_counted(self, name: str) -> float:
        return self.ratio("--counted")

    def ratio(self, *options: str) -> float:
        laps = []
        for _ in range(5):
            ours = rmqueue_seconds(self.stream, 3)
            laps.append(ours / yardstick_seconds(self.stream, 3, *options))
        return statistics.median(laps)
