"""How fast a replay is, alone and against the C program on the same stream."""

from __future__ import annotations

import time

from benchmarks.choice import QUICK
from benchmarks.compare_yardstick import STRATEGY, VARIANT, ratio_to_yardstick
from benchmarks.streams import NAMES, binary, load

STREAMS = ("pcp8big",) if QUICK else NAMES


class Replay:
    """Thread CPU time of a replay on a zone whose set-up is done [s]."""

    params = STREAMS
    param_names = ("stream",)
    timer = staticmethod(time.thread_time)
    number, warmup_time, timeout, version = 1, 0, 300, "1"

    def setup(self, name: str) -> None:
        stream = load(name)
        self.ops, self.zone = stream.ops, stream.zone()

    def time_replay(self, name: str) -> None:
        self.zone.replay(self.ops, record=False)


class AgainstC:
    """Time of rmqueue, which counts the kernel's work, by that of C."""

    params = STREAMS
    param_names = ("stream",)
    unit, timeout, version = "ratio", 300, "1"

    def setup(self, name: str) -> None:
        binary()
        self.stream = load(name)
        self.stream.zone()  # compile

    def track_ratio(self, name: str) -> float:
        return ratio_to_yardstick(self.stream, STRATEGY, VARIANT)

    def track_ratio_counted(self, name: str) -> float:
        return ratio_to_yardstick(self.stream, STRATEGY, VARIANT, "--counted")
