"""Race rmqueue against the yardstick on the same streams, in turns.

python -m benchmarks.compare_yardstick [--rounds N] [--quick] [STREAM ...]

Both sides replay the set-up first, then are timed by the CPU time of their thread on
the rest; zone and slots are new every time.  Of short streams, a turn is as many
replays as make a million operations: both sides are warm then.  rmqueue counts the
kernel's work always; the yardstick runs without counters (the harder opponent) and with
them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.choice import QUICK
from benchmarks.streams import NAMES, Stream, binary, load
from benchmarks.yardstick.yardstick import run

VARIANT, STRATEGY = "remembered", "remembered-fallback"

#: stream -> ratio of rmqueue's time to the yardstick's that must hold, and the aim.
TARGETS = {
    "steady": (1.1, 0.8),
    "fallback": (0.6, 0.3),
    "random": (0.5, 0.3),
    "bulkfrag": (1.1, 0.8),
    "pcp8big": (1.1, 0.8),
}


@dataclass(frozen=True)
class Race:
    """Medians of one stream [ns/op]: rmqueue, C without and with work counters."""

    name: str
    rmqueue: float
    plain: float
    counted: float

    def row(self) -> str:
        """Return a line of the table."""
        must, aim = TARGETS[self.name.split("-")[0]]
        ratio = self.rmqueue / self.plain
        mark = "aim" if ratio <= aim else "ok" if ratio <= must else "MISSED"
        times = f"{self.rmqueue:.1f} | {self.plain:.1f} | {self.counted:.1f}"
        ratios = f"{ratio:.2f} | {self.rmqueue / self.counted:.2f}"
        return f"| {self.name} | {times} | {ratios} | {must} | {aim} | {mark} |"


HEAD = (
    "| stream | rmqueue [ns/op] | C [ns/op] | C counted [ns/op] "
    "| ratio | ratio, counted | must | aim | |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|---|"
)


def check_equal_work(stream: Stream) -> None:
    """Refuse to time two programs that do not do the same: counters and free pages.

    Raises
    ------
    RuntimeError
        A counter or the number of free pages differs.
    """
    line = run(binary(), VARIANT, stream.path, "--repeat", 0)
    zone = stream.zone(STRATEGY)
    zone.replay(stream.ops, record=False)
    found = {**zone.counters, "nr_free": zone.nr_free}
    for name, want in {**line["counters"], "nr_free": line["nr_free"]}.items():
        if found[name] != want:
            raise RuntimeError(f"{stream.name}: {name}: {found[name]}, C has {want}")


def rmqueue_seconds(stream: Stream, repeat: int, strategy: str = STRATEGY) -> float:
    """Median thread CPU time of a replay [s]."""
    times = []
    for _ in range(repeat):
        zone = stream.zone(strategy)
        times.append(zone.replay(stream.ops, record=False).seconds)
    return statistics.median(times)


def yardstick_seconds(
    stream: Stream, repeat: int, *options: str, variant: str = VARIANT
) -> float:
    """Median thread CPU time of a replay in C [s]."""
    words = ("--repeat", repeat, "--unchecked", *options)
    line = run(binary(), variant, stream.path, *words)
    return float(line["seconds_median"])


def ratio_to_yardstick(
    stream: Stream, strategy: str, variant: str, *options: str
) -> float:
    """Time of rmqueue by that of C, the median of turns of both."""
    laps, repeat = (1, 1) if QUICK else (5, often(stream, 3))
    ratios = []
    for _ in range(laps):
        ours = rmqueue_seconds(stream, repeat, strategy)
        yardstick = yardstick_seconds(stream, repeat, *options, variant=variant)
        ratios.append(ours / yardstick)
    return statistics.median(ratios)


def often(stream: Stream, repeat: int) -> int:
    """Replays a turn: of short streams as many as make half a million operations."""
    return max(repeat, min(50, 500_000 // max(len(stream.ops), 1)))


def race(stream: Stream, rounds: int, repeat: int) -> Race:
    """Time both sides in turns."""
    check_equal_work(stream)
    laps = [
        (
            yardstick_seconds(stream, repeat),
            rmqueue_seconds(stream, repeat),
            yardstick_seconds(stream, repeat, "--counted"),
        )
        for _ in range(rounds)
    ]
    plain, ours, counted = (
        statistics.median(column) * 1e9 / len(stream.ops)
        for column in zip(*laps, strict=True)
    )
    return Race(stream.name, ours, plain, counted)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("streams", nargs="*", metavar="STREAM", help=" ".join(NAMES))
    parser.add_argument("--rounds", type=int, default=7, help="turns a stream [7]")
    parser.add_argument("--repeat", type=int, default=3, help="replays a turn [3]")
    parser.add_argument("--quick", action="store_true", help="one turn, short streams")
    given = parser.parse_args(arguments)
    rounds, repeat = (1, 1) if given.quick else (given.rounds, given.repeat)
    nr_ops = 100_000 if given.quick else 1_000_000
    print(HEAD)
    for name in given.streams or NAMES:
        stream = load(name, nr_ops=nr_ops)
        often = max(repeat, 1 if given.quick else nr_ops // len(stream.ops))
        print(race(stream, rounds, often).row(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
