"""Compare what was measured of two commits: exactly what is exact, by a factor else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from rmqueue.bench_asv import FAILED, Asv, chosen
from rmqueue.bench_checkout import WORKING_TREE, commit_of, snapshot
from rmqueue.bench_tracks import RATES, Measured, Track, Value, pattern_of
from rmqueue.errors import BenchError, UsageError

#: What is compared unless something else is asked for: minutes, not an hour.
EVERYDAY = (
    r"^bench_results\.(Replayed|Polluted|Predicted|Board)\."
    r"|AgainstC\.track_ratio\b|Startup\.timeraw_(import|warm_start)"
)
CHANGED, SLOWER, FASTER, GONE, NEW = "changed", "slower", "faster", "gone", "new"
#: What makes a comparison end with an error.
BAD = (CHANGED, SLOWER, GONE)


@dataclass(frozen=True)
class Change:
    """A track of which two commits differ.

    Attributes
    ----------
    track : Track
        What was measured.
    verdict : str
        What came of it.
    before, after : Value or None
        Both figures; None: it failed, or was skipped.
    """

    track: Track
    verdict: str
    before: Value | None
    after: Value | None


@dataclass(frozen=True)
class Commits:
    """Two commits: their ids, and what they are called."""

    base: str
    tested: str
    base_name: str
    tested_name: str


def find_commits(root: Path, base: str, tested: str | None) -> Commits:
    """Look two commits up; without a second one it is the files as they are now.

    Raises
    ------
    UsageError
        One does not exist, or both are the same.
    """
    first = commit_of(root, base)
    second = commit_of(root, tested) if tested else snapshot(root)
    if first == second:
        hint = "" if tested else ": nothing has changed in the working tree"
        raise UsageError(f"{base} and {tested or WORKING_TREE} are the same{hint}")
    if tested or second == commit_of(root, "HEAD"):
        return Commits(first, second, first[:12], second[:12])
    return Commits(first, second, first[:12], WORKING_TREE)


def measure(
    root: Path,
    commits: Commits,
    only: str = EVERYDAY,
    strategies: tuple[str, ...] = (),
    factor: float = 1.1,
) -> tuple[Measured, Measured]:
    """Measure two commits in environments of their own.

    Raises
    ------
    UsageError
        The pattern is none.
    BenchError
        Nothing was measured.
    """
    pattern_of("--only", only)
    asv = Asv(root, chosen(strategies))
    words = ("--factor", str(factor), "--bench", only, "--show-stderr")
    status = asv.run("continuous", *words, commits.base, commits.tested)
    if status not in (0, 1, FAILED):
        raise BenchError(f"asv ended with status {status}: it says why")
    base, tested = asv.measured([commits.base, commits.tested])
    return base, tested


def changes(base: Measured, tested: Measured, factor: float) -> list[Change]:
    """Everything in which two commits differ, in the order of the tracks."""
    found = []
    for track in sorted(base.values.keys() | tested.values.keys()):
        before, after = base.values.get(track), tested.values.get(track)
        verdict = judge(track, before, after, factor)
        if verdict:
            found.append(Change(track, verdict, before, after))
    return found


def judge(
    track: Track, before: Value | None, after: Value | None, factor: float
) -> str:
    """Say what a difference means; nothing if it means nothing.

    Examples
    --------
    >>> one, two = Value(10.0, 9.9, 10.1), Value(11.5, 10.0, 12.0)
    >>> judge(Track("bench_mm.Open.time_open"), one, two, 1.1)  # too uncertain
    ''
    >>> judge(Track("bench_results.Board.track_steals"), one, two, 1.1)
    'changed'
    """
    if before is None or after is None:
        return GONE if after is None else NEW
    if track.exact:
        return CHANGED if before.value != after.value else ""
    if track.unit in RATES:
        before, after = after, before
    if after.value > before.value * factor and after.low > before.high:
        return SLOWER
    if before.value > after.value * factor and before.low > after.high:
        return FASTER
    return ""


def summary(found: list[Change], base: Measured, tested: Measured) -> str:
    """Say in one line what came of a comparison."""
    tracks = base.values.keys() | tested.values.keys()
    exact = sum(track.exact for track in tracks)
    counts = Counter(change.verdict for change in found)
    words = [f"{count} {verdict}" for verdict, count in sorted(counts.items())]
    return f"{exact} exact figures and {len(tracks) - exact} measured ones: " + (
        ", ".join(words) or "no change"
    )


def cells(change: Change) -> tuple[str, str, str, str, str]:
    """Words of one line: track, before, after, change, verdict."""
    before, after = change.before, change.after
    unit = change.track.unit
    by = ""
    if before and after and before.value:
        by = f"{100 * (after.value / before.value - 1):+.1f} %"
    return (
        change.track.name,
        figure(before, unit),
        figure(after, unit),
        by,
        change.verdict,
    )


def figure(value: Value | None, unit: str) -> str:
    """Figure with its unit, times in a unit that fits.

    Examples
    --------
    >>> figure(Value(0.00123, 0, 1), "seconds"), figure(Value(51227.0, 0, 0), "blocks")
    ('1.23 ms', '51227 blocks')
    >>> figure(None, "blocks")
    'n/a'
    """
    if value is None:
        return "n/a"
    number = value.value
    if unit == "seconds":
        for scale, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")):
            if number >= scale:
                return f"{number / scale:.3g} {name}"
    if unit == "bytes" and number >= 1 << 20:
        return f"{number / (1 << 20):.4g} MiB"
    whole = number == int(number) and abs(number) < 1e15
    return f"{int(number) if whole else format(number, '.6g')} {unit}".strip()
