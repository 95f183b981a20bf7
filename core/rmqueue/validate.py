"""The command ``rmqueue validate``: whether a kernel does what the model says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rmqueue.binding import check_pair
from rmqueue.errors import UsageError
from rmqueue.output import check_writable, write_whole
from rmqueue.registry import Registry, default_registry
from rmqueue.statistics_report import statistics_text
from rmqueue.trace.ending import compare_end
from rmqueue.trace.free_run import run_free
from rmqueue.trace.pcp_follow import PcpPrediction
from rmqueue.trace.pcp_law import PcpScore
from rmqueue.trace.plan import make_plan
from rmqueue.trace.predict import Prediction
from rmqueue.trace.score import Score
from rmqueue.trace.statistics import Statistics, statistics_of
from rmqueue.trace.verdict import Column, Validation
from rmqueue.trace_source import open_trace
from rmqueue.types import Evidence
from rmqueue.validate_report import summary, text

#: Names all installed strategies.
ALL = "all"


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    recordings: tuple[str, ...]
    strategy: str | None = None
    strict: bool = False
    json: str | None = None
    quiet: bool = False


def run(wanted: Wanted, registry: Registry | None = None) -> None:
    """Validate recordings, and print what came of it.

    Raises
    ------
    TraceError
        A recording cannot be read, or is none that can be followed.
    UsageError
        No such strategy.
    """
    registry = registry or default_registry()
    if wanted.json not in (None, "-"):
        check_writable(Path(str(wanted.json)))
    for recording in wanted.recordings:
        source_of(recording, registry)  # what is wrong with the last is told at once
    pages: list[Validation] = []
    sums: list[Statistics] = []
    with _status(wanted.quiet) as tell:
        for recording in wanted.recordings:
            tell(f"reading {recording}")
            evidence = find_evidence(recording, registry)
            names = strategies_for(evidence, wanted.strategy, registry)
            if evidence.exact:
                pages.append(validate(evidence, names, wanted.strict, registry, tell))
            else:
                sums += compare_sums(evidence, names, registry, tell)
    if wanted.json is not None:
        found = [*map(as_json, pages), *map(sums_json, sums)]
        content = json.dumps(found, indent=1) + "\n"
        if wanted.json == "-":
            sys.stdout.write(content)
            return
        write_whole(Path(wanted.json), content)
    shown = [text(pages[0]) if len(pages) == 1 else summary(pages)] if pages else []
    sys.stdout.write("\n".join([*shown, *map(statistics_text, sums)]))


def compare_sums(
    evidence: Evidence,
    strategies: tuple[str, ...],
    registry: Registry,
    tell: Callable[[str], None],
) -> list[Statistics]:
    """Compare sums, where the start is made up and single pages mean nothing."""
    found = []
    for name in strategies:
        tell(f"running the requests of {evidence.name} with {name}")
        kernel = kernel_for(evidence, name, registry)
        found.append(statistics_of(evidence, name, kernel=kernel))
    return found


def validate(
    evidence: Evidence,
    strategies: tuple[str, ...],
    strict: bool = False,
    registry: Registry | None = None,
    tell: Callable[[str], None] = lambda words: None,
) -> Validation:
    """Follow a recording with each strategy.

    Parameters
    ----------
    evidence : Evidence
        The recording.
    strategies : tuple of str
        Names of installed strategies.
    strict : bool
        Follow it without look-ahead as well.
    registry : Registry or None
        Where names are looked up; None: what is installed.
    tell : callable
        Told in words what is being done.
    """
    registry = registry or default_registry()
    columns = []
    for name in strategies:
        kernel = kernel_for(evidence, name, registry)
        for narrow in (False, True) if strict else (False,):
            tell(f"following {evidence.name} with {name}")
            prediction = Prediction(evidence, name, kernel, narrow)
            score = prediction.run()
            ending = compare_end(prediction.zones, evidence.end)
            columns.append(Column(name, kernel, narrow, score, ending))
    pcp = free = None
    if all(zone.pcps for zone in evidence.start):
        tell(f"following the per-CPU lists of {evidence.name}")
        plan, first = make_plan(evidence, strict=False), columns[0]
        pcp = PcpPrediction(evidence, plan, evidence.start[0].kernel).run()
        free = run_free(evidence, plan, first.strategy, first.kernel)
    return Validation(evidence, tuple(columns), pcp, free)


def find_evidence(recording: str, registry: Registry) -> Evidence:
    """Read a recording event by event, with whatever reader accepts it.

    Raises
    ------
    TraceError, UsageError
        Nothing accepts it, or not in this way.
    """
    path, read = source_of(recording, registry)
    return read(path)


def source_of(
    recording: str, registry: Registry
) -> tuple[Path, Callable[[Path], Evidence]]:
    """Path of a recording, and what reads it event by event.

    Raises
    ------
    TraceError, UsageError
        Nothing accepts it, or not in this way.
    """
    source = open_trace(Path(recording), registry)
    if source.reader.evidence is None:
        raise UsageError(
            f"{source.path}: the form {source.reader.name!r} has no state to begin "
            "from: name a recording folder, such as `rmqueue record` makes"
        )
    return source.path, source.reader.evidence


def strategies_for(
    evidence: Evidence, asked: str | None, registry: Registry
) -> tuple[str, ...]:
    """Names of the strategies to follow a recording with, the kernel's own first."""
    if asked is None:
        return (evidence.strategy,)
    if asked != ALL:
        names = tuple(dict.fromkeys(n.strip() for n in asked.split(",") if n.strip()))
        if not names:
            raise UsageError("--strategy: give a name, names with commas, or 'all'")
        for name in names:
            registry.strategy(name)
        return names
    others = sorted(set(registry.names("strategy")) - {evidence.strategy})
    return (evidence.strategy, *others)


def kernel_for(evidence: Evidence, strategy: str, registry: Registry) -> str:
    """Kernel profile for a strategy: the recording's, if the strategy can run on it."""
    record, kernel = registry.strategy(strategy), evidence.start[0].kernel
    try:
        check_pair(record, kernel)
    except UsageError:
        return record.kernel
    return kernel


def as_json(validation: Validation) -> dict[str, Any]:
    """Everything that was counted, as JSON takes it."""
    evidence = validation.evidence
    return {
        "recording": evidence.name,
        "kernel": evidence.kernel,
        "own_strategy": evidence.strategy,
        "events": len(evidence.events),
        "notes": list(evidence.notes),
        "columns": [
            {
                "strategy": column.strategy,
                "kernel_profile": column.kernel,
                "strict": column.strict,
                **score_json(column.score),
                "end": asdict(column.ending) if column.ending else None,
            }
            for column in validation.columns
        ],
        "per_cpu_lists": _plain(validation.pcp) if validation.pcp else None,
        "free_run": asdict(validation.free_run) if validation.free_run else None,
    }


def sums_json(found: Statistics) -> dict[str, Any]:
    """Return sums, as JSON takes them."""
    return {
        "recording": found.name,
        "kernel": found.kernel,
        "strategy": found.strategy,
        "kernel_profile": found.profile,
        "exact_start": found.exact,
        "seeds": list(found.seeds),
        "figures": [asdict(figure) for figure in found.figures],
        "notes": list(found.notes),
    }


def score_json(score: Score) -> dict[str, Any]:
    """Return the counts of a score, as JSON takes them."""
    keys = ("asked", "taken", "order", "fallback_order", "change_ownership")
    fallbacks = sorted(score.recorded.keys() | score.predicted.keys())
    return {
        "pages": score.pages,
        "exact": score.exact,
        "first_miss_line": score.first_miss,
        "batches": score.batches,
        "exact_batches": score.exact_batches,
        "misses": dict(score.misses),
        "mended": dict(score.mended),
        "drains": score.drains,
        "drains_elsewhere": score.drains_elsewhere,
        "fallbacks": [
            {
                **dict(zip(keys, key, strict=True)),
                "recorded": score.recorded[key],
                "predicted": score.predicted[key],
            }
            for key in fallbacks
        ],
    }


def _plain(score: PcpScore) -> dict[str, Any]:
    """Return counts, as JSON takes them; `asdict` would take a Counter apart."""
    values = {field.name: getattr(score, field.name) for field in fields(score)}
    return {**values, "notes": dict(score.notes)}


@contextmanager
def _status(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Say on a terminal what is being done."""
    if quiet or not sys.stderr.isatty():
        yield lambda words: None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield status.update
