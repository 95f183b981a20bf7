"""Tracks that asv stores: one figure each, over commits.

asv is asked here and in `rmqueue.bench_asv` only; it comes with ``rmqueue[bench]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from rmqueue.errors import BenchError, UsageError

#: Benchmarks whose figures carry no noise: any change is one of behaviour.
EXACT = "bench_results."
KINDS = ("results", "speed", "memory", "start-up")
#: Units of which more is better.
RATES = ("1/s", "MB/s")


@dataclass(frozen=True, order=True)
class Track:
    """What is measured.

    Attributes
    ----------
    benchmark : str
        Full name, as asv has it: ``"bench_mm.Open.time_open"``.
    params : tuple of str
        Its parameters.
    unit : str
        Unit of the figures.
    """

    benchmark: str
    params: tuple[str, ...] = ()
    unit: str = ""

    @property
    def exact(self) -> bool:
        """Whether it carries no noise."""
        return self.benchmark.startswith(EXACT)

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        if self.exact:
            return "results"
        if "bench_startup." in self.benchmark:
            return "start-up"
        return "memory" if self.unit == "bytes" else "speed"

    @property
    def name(self) -> str:
        """Name without what is the same everywhere.

        Examples
        --------
        >>> Track("bench_mm.Open.time_open", ("262144",)).name
        'mm: Open.open (262144)'
        """
        module, _, rest = self.benchmark.partition(".")
        words = re.sub(r"\b(track|time|timeraw|peakmem|mem)_", "", rest)
        params = f" ({', '.join(self.params)})" if self.params else ""
        return f"{module.removeprefix('bench_')}: {words}{params}"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Value:
    """A figure of a commit.

    Attributes
    ----------
    value : float
        The figure; of times the median.
    low, high : float
        Between these lies the median, with a certainty of 99 %; the figure itself if it
        was measured once.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Measured:
    """Everything that was measured of a commit, on a machine in an environment.

    Attributes
    ----------
    commit : str
        Its full id.
    date : int
        When it was made [ms since 1970].
    machine, environment : str
        Where it was measured.
    values : mapping of Track to Value
        What came of it; what failed or was skipped is not there.
    """

    commit: str
    date: int
    machine: str
    environment: str
    values: Mapping[Track, Value]


def need_asv() -> None:
    """Say what to install if asv is missing.

    Raises
    ------
    UsageError
        It is.
    """
    try:
        import asv  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"benchmarks need asv ({error}): pip install 'rmqueue[bench]'"
        ) from None


def pattern_of(option: str, words: str) -> re.Pattern[str]:
    """Compile a regular expression that an option gives.

    Raises
    ------
    UsageError
        It is none.
    """
    try:
        return re.compile(words)
    except re.error as error:
        raise UsageError(
            f"{option}: {words!r} is not a regular expression: {error}"
        ) from None


def read_results(folder: Path) -> list[Measured]:
    """Read everything that asv has stored, the oldest commit first.

    Raises
    ------
    UsageError
        asv is missing, or nothing is stored.
    BenchError
        A file is broken.
    """
    need_asv()
    from asv.results import iter_results_paths

    paths = list(iter_results_paths(str(folder)))
    if not paths:
        raise UsageError(
            f"{folder}: holds no results: measure some first, with `asv run`"
        )
    units = units_of(folder)
    found = [
        read_one(Path(root, name), machine, units) for root, name, machine in paths
    ]
    return sorted(found, key=lambda one: (one.date, one.commit))


def read_one(path: Path, machine: str, units: Mapping[str, str]) -> Measured:
    """Read what is stored of one commit."""
    from asv.results import Results
    from asv.util import UserError

    try:
        stored = Results.load(str(path), machine_name=machine)
        values = dict(values_of(stored, units))
    except (UserError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"{path}: no results of asv: {error}: remove it") from None
    return Measured(
        str(stored.commit_hash), int(stored.date), machine, stored.env_name, values
    )


def units_of(folder: Path) -> dict[str, str]:
    """Units by benchmark, as asv has discovered them last.

    Raises
    ------
    BenchError
        There is no list of the benchmarks.
    """
    from asv.util import UserError, load_json

    path = folder / "benchmarks.json"
    try:
        listed = load_json(str(path))
        return {
            name: str(one["unit"])
            for name, one in listed.items()
            if isinstance(one, dict)
        }
    except (OSError, UserError, ValueError, KeyError) as error:
        raise BenchError(
            f"{path}: no list of benchmarks: {error}: `asv run` writes it"
        ) from None


def values_of(stored: Any, units: Mapping[str, str]) -> Iterator[tuple[Track, Value]]:
    """Tracks and figures of a stored result, without what has none."""
    for name in stored.get_all_result_keys():
        params = stored.get_result_params(name)
        figures = stored.get_result_value(name, params)
        stats = stored.get_result_stats(name, params)
        for words, figure, spread in zip(product(*params), figures, stats, strict=True):
            if figure is None or figure != figure:
                continue
            plain = tuple(word.strip("'\"") for word in words)
            track = Track(name, plain, units.get(name, ""))
            yield track, value_of(float(figure), spread)


def value_of(figure: float, stats: Mapping[str, float | None] | None) -> Value:
    """Figure with its interval; one that is not known is as wide as the figure."""
    low, high = ((stats or {}).get(key) for key in ("ci_99_a", "ci_99_b"))
    if low is None or high is None or not low <= figure <= high:
        return Value(figure, figure, figure)
    return Value(figure, float(low), float(high))
