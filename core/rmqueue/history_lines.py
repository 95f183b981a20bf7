"""Tracks over commits: what a table and a page of a history are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rmqueue.bench_checkout import subjects
from rmqueue.bench_tracks import Measured, Track, Value, pattern_of

BARS = "▁▂▃▄▅▆▇█"
#: What a commit has no figure of.
MISSING = "·"
#: Share of a measured figure that is at least drawn as the whole height.
NOISE = 0.3


@dataclass(frozen=True)
class Line:
    """A track over commits.

    Attributes
    ----------
    track : Track
        What was measured.
    values : tuple of Value or None
        One for each commit, the oldest first; None: it has none.
    """

    track: Track
    values: tuple[Value | None, ...]

    @property
    def known(self) -> tuple[Value, ...]:
        """Values without those that are missing."""
        return tuple(value for value in self.values if value is not None)

    @property
    def constant(self) -> bool:
        """Whether all commits that have a figure have the same."""
        return len({value.value for value in self.known}) < 2

    @property
    def changed_at(self) -> tuple[int, ...]:
        """Commits whose figure is not that of the one before that has any."""
        found, last = [], None
        for at, value in enumerate(self.values):
            if value is None:
                continue
            if last is not None and value.value != last:
                found.append(at)
            last = value.value
        return tuple(found)

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and most that is drawn: noise does not fill the height."""
        numbers = [value.value for value in self.known]
        low, high = min(numbers), max(numbers)
        least = 0.0 if self.track.exact else NOISE * abs(high)
        margin = max(least - (high - low), 0.0) / 2
        return low - margin, high + margin

    @property
    def change(self) -> str:
        """Last figure against the first [%]."""
        if len(self.known) < 2 or not self.known[0].value:
            return ""
        return f"{100 * (self.known[-1].value / self.known[0].value - 1):+.1f} %"


@dataclass(frozen=True)
class History:
    """Tracks of one machine in one environment.

    Attributes
    ----------
    machine, environment : str
        Where they were measured.
    commits : tuple of str
        Full ids, the oldest first.
    subjects : tuple of str
        First line of the message of each.
    lines : tuple of Line
        The tracks.
    """

    machine: str
    environment: str
    commits: tuple[str, ...]
    subjects: tuple[str, ...]
    lines: tuple[Line, ...]

    def of(self, kind: str) -> tuple[Line, ...]:
        """Return the tracks of one of `KINDS`."""
        return tuple(line for line in self.lines if line.track.kind == kind)


def histories_of(
    found: list[Measured], root: Path | None, only: str | None
) -> list[History]:
    """Histories by machine and environment: they are never mixed.

    Parameters
    ----------
    found : list of Measured
        The oldest commit first.
    root : Path or None
        Checkout that knows the commits.
    only : str or None
        Regular expression of the tracks wanted, by the names of asv or those shown.
    """
    pattern = pattern_of("REGEX", only or "")
    places: dict[tuple[str, str], list[Measured]] = {}
    for one in found:
        places.setdefault((one.machine, one.environment), []).append(one)
    histories = []
    for (machine, environment), group in places.items():
        commits = tuple(one.commit for one in group)
        words = subjects(root, list(commits)) if root else dict.fromkeys(commits, "")
        tracks = sorted({track for one in group for track in one.values})
        lines = tuple(
            Line(track, tuple(one.values.get(track) for one in group))
            for track in tracks
            if pattern.search(track.benchmark) or pattern.search(track.name)
        )
        titles = tuple(words[commit] for commit in commits)
        histories.append(History(machine, environment, commits, titles, lines))
    return histories


def sparkline(line: Line) -> str:
    """Bars of the values of a track, from the least to the most that is drawn.

    Examples
    --------
    >>> one, two, three = (Value(x, x, x) for x in (1.0, 2.0, 3.0))
    >>> exact = Track("bench_results.Board.track_steals")
    >>> sparkline(Line(exact, (one, None, two, three)))
    '▁·▄█'
    """
    low, high = line.bounds
    step = (high - low) / (len(BARS) - 1) or 1.0
    return "".join(
        MISSING if value is None else BARS[int((value.value - low) / step)]
        for value in line.values
    )
