"""What ``rmqueue validate`` prints: text in columns, as it goes into a mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from rmqueue.report import aligned, parts_of, wrapped
from rmqueue.trace.free_run import FreeRun
from rmqueue.trace.pcp_law import PcpScore
from rmqueue.trace.score import Fallback, Score, claims_of
from rmqueue.trace.verdict import Column, Validation
from rmqueue.types import Evidence

TYPES = ("unmovable", "movable", "reclaimable", "highatomic", "cma")
GAP = "  "
#: What a miss was, and what brought the model back, as one says it.
CAUSES = {
    "kind": "native, claim or steal",
    "list order": "order of a list",
    "other list": "another list",
    "recorded page not free": "page not free in the model",
    "silent take": "page had left unseen",
}
MENDINGS = {
    "order_inferred": "a free came earlier",
    "removed": "pages left unseen",
    "deferred": "pages kept away",
    "rotated": "list turned",
    "forced": "page taken by force",
}
UNSEEN = {
    "captured": "blocks captured as they were freed",
    "taken_unseen": "frees of pages that had left unseen",
    "isolated_unseen": "blocks that compaction took unseen",
    "drained_free": "drains of pages that were free",
}

Rows = list[tuple[str, list[str]]]


def text(validation: Validation) -> str:
    """Render a validation as plain text."""
    columns = validation.columns
    headings = [heading(column) for column in columns]
    parts = [
        title(validation.evidence),
        table(headings, page_rows(columns)),
        table(headings, mend_rows(columns)),
    ]
    if any(column.score.recorded or column.score.predicted for column in columns):
        parts.append(table(["recorded", *headings], fallback_rows(columns)))
    if validation.pcp is not None:
        kernel = validation.evidence.start[0].kernel
        parts.append(table([f"kernel {kernel}"], pcp_rows(validation.pcp)))
    if validation.free_run is not None:
        parts.append(table(["left to itself"], free_rows(validation.free_run)))
    parts.append("\n".join(notes(validation)))
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(validations: list[Validation]) -> str:
    """Render several validations, a line for each and each strategy."""
    rows: Rows = []
    for one in validations:
        for column in one.columns:
            if not column.strict:
                rows.append((one.evidence.name, summary_cells(one, column)))
    headings = [
        *("strategy", "exact", "of", "strict %", "fallbacks", "claims", "end lists"),
        *("refills", "frees %", "flags turned"),
    ]
    return table(headings, rows) + "\n"


def summary_cells(validation: Validation, column: Column) -> list[str]:
    """Cells of one line."""
    score, end, pcp = column.score, column.ending, validation.pcp
    strict = [
        percent(c.score.exact, c.score.pages)
        for c in validation.columns
        if c.strict and c.strategy == column.strategy
    ]
    return [
        column.strategy,
        f"{score.exact:,}",
        f"{score.pages:,}",
        strict[0] if strict else "-",
        both(score, total),
        both(score, claims_of),
        ratio(end.equal, end.lists) if end else "-",
        ratio(pcp.exact_refills, pcp.refills) if pcp else "-",
        percent(pcp.explained, pcp.frees) if pcp else "-",
        f"{pcp.flips:,}" if pcp else "-",
    ]


def title(evidence: Evidence) -> str:
    """Say what was followed."""
    events = evidence.events
    seconds = float(events["time_us"][-1] - events["time_us"][0]) / 1e6
    zones = ", ".join(zone.name for zone in evidence.start)
    cpus = evidence.start[0].cpus
    return (
        f"{evidence.name}: Linux {evidence.kernel}, {len(events):,} events in "
        f"{seconds:.1f} s, {cpus} CPU{'s' * (cpus != 1)}, zones {zones}\n"
        f"its strategy is {evidence.strategy}, its kernel profile "
        f"{evidence.start[0].kernel}"
    )


def heading(column: Column) -> str:
    """Strategy, and in which way it was asked."""
    strict = " strict" if column.strict else ""
    return f"{column.strategy} on {column.kernel}{strict}"


def page_rows(columns: tuple[Column, ...]) -> Rows:
    """Pages, batches, and the free lists at the end."""
    scores = [column.score for column in columns]
    rows: Rows = [
        ("pages predicted exactly", [f"{s.exact:,}" for s in scores]),
        ("of", [f"{s.pages:,}" for s in scores]),
        ("[%]", [percent(s.exact, s.pages) for s in scores]),
        ("first miss [line]", [line_of(s) for s in scores]),
        ("batches without a miss", [ratio(s.exact_batches, s.batches) for s in scores]),
        ("fallbacks / recorded", [both(s, total) for s in scores]),
        ("claims / recorded", [both(s, claims_of) for s in scores]),
        ("drains to another type", [f"{s.drains_elsewhere:,}" for s in scores]),
    ]
    endings = [column.ending for column in columns]
    if all(endings):
        known = [ending for ending in endings if ending is not None]
        rows += [
            ("end: lists equal in order", [ratio(e.equal, e.lists) for e in known]),
            ("end: blocks missing", [f"{e.missing:,}" for e in known]),
            ("end: blocks extra", [f"{e.extra:,}" for e in known]),
            ("end: pageblock types wrong", [f"{e.types:,}" for e in known]),
        ]
    return rows


def mend_rows(columns: tuple[Column, ...]) -> Rows:
    """Why pages were missed, what mended that, and what happened unseen."""
    rows: Rows = []
    for head, words, which in (
        ("missed", CAUSES, "misses"),
        ("mended", MENDINGS, "mended"),
        ("unseen", UNSEEN, "mended"),
    ):
        for key, says in words.items():
            found = [getattr(column.score, which)[key] for column in columns]
            if any(found):
                rows.append((f"{head}: {says}", [f"{count:,}" for count in found]))
    return rows


def fallback_rows(columns: tuple[Column, ...]) -> Rows:
    """Fallbacks by types, orders and ownership; the recorded ones first."""
    recorded = columns[0].score.recorded
    keys = set(recorded)
    for column in columns:
        keys |= set(column.score.predicted)
    rows: Rows = []
    for key in sorted(keys, key=lambda key: (key[0], key[1], -key[4], key[2], key[3])):
        cells = [recorded[key], *(column.score.predicted[key] for column in columns)]
        rows.append((fallback_label(key), [f"{count:,}" for count in cells]))
    return rows


def fallback_label(key: Fallback) -> str:
    """Name a kind of fallback.

    Examples
    --------
    >>> fallback_label((1, 0, 0, 3, 0))
    'movable from unmovable, order 0 of 3, steal'
    """
    asked, taken, order, found, claim = key
    how = "claim" if claim else "steal"
    return f"{TYPES[asked]} from {TYPES[taken]}, order {order} of {found}, {how}"


def pcp_rows(score: PcpScore) -> Rows:
    """Per-CPU lists against the rules."""
    rows: Rows = [
        ("refills of exactly the size", [ratio(score.exact_refills, score.refills)]),
        ("frees explained", [ratio(score.explained, score.frees)]),
        ("[%]", [percent(score.explained, score.frees)]),
        ("of those that drained", [ratio(score.draining_explained, score.draining)]),
        ("hidden flags turned", [f"{score.flips:,}"]),
    ]
    for label, count in (
        ("drains cut short", score.cut_short),
        ("drained by others", score.notes["drained by others"]),
        ("pages past busy lists", score.notes["past_busy_lists"]),
        ("pages that left unseen", score.notes["bulk_allocated"]),
    ):
        if count:
            rows.append((label, [f"{count:,}"]))
    return rows


def free_rows(run: FreeRun) -> Rows:
    """Say how far the model comes without any help."""
    return [
        ("allocations until another page", [ratio(run.until, run.allocations)]),
        ("refills / recorded", [ratio(run.refills, run.recorded_refills)]),
        ("fallbacks / recorded", [ratio(run.fallbacks, run.recorded_fallbacks)]),
    ]


def notes(validation: Validation) -> Iterable[str]:
    """Say what a reader should know beside the figures."""
    evidence, columns = validation.evidence, validation.columns
    yield from evidence.notes
    if not evidence.end:
        yield "the end state is not recorded: nothing is known of pages not named again"
    best = max(column.score.exact for column in columns if not column.strict)
    own = [c for c in columns if c.strategy == evidence.strategy and not c.strict]
    ties = [c.strategy for c in columns if not c.strict and c.score.exact == best]
    if len(columns) > 1 and own and own[0].score.exact == best:
        others = [name for name in ties if name != evidence.strategy]
        equal = f", and as well: {', '.join(others)}" if others else ""
        yield f"{evidence.strategy} explains it best, as it should{equal}"
    elif len(columns) > 1 and own:
        yield f"{evidence.strategy} does not explain it best"


def table(headings: list[str], rows: Rows) -> str:
    """Columns of cells with headings that break at dashes and blanks."""
    if not rows:
        return ""
    labels = max(len(label) for label, _ in rows)
    widths = [
        max(
            *(len(row[at]) for _, row in rows),
            *(len(part) for part in parts_of(heading)),
        )
        for at, heading in enumerate(headings)
    ]
    heads = [wrapped(h, w) for h, w in zip(headings, widths, strict=True)]
    lines = [
        aligned(
            "", [head[at] if at < len(head) else "" for head in heads], labels, widths
        )
        for at in range(max(map(len, heads)))
    ]
    lines.append("-" * (labels + sum(len(GAP) + width for width in widths)))
    lines += [aligned(label, row, labels, widths) for label, row in rows]
    return "\n".join(line.rstrip() for line in lines)


def percent(part: int, whole: int) -> str:
    """Say a share in percent, never rounded up to all of it.

    Examples
    --------
    >>> percent(118424, 118426), percent(3, 3)
    ('99.998', '100.000')
    """
    if part == whole:
        return "100.000"
    return f"{min(100 * part / whole, 99.999):.3f}"


def ratio(part: int, whole: int) -> str:
    """Part of a whole."""
    return f"{part:,}/{whole:,}"


def total(fallbacks: Counter[Fallback]) -> int:
    """All fallbacks."""
    return sum(fallbacks.values())


def both(score: Score, of: Callable[[Counter[Fallback]], int]) -> str:
    """Count what was predicted and what was recorded."""
    return ratio(of(score.predicted), of(score.recorded))


def line_of(score: Score) -> str:
    """Line of the first miss."""
    return f"{score.first_miss:,}" if score.first_miss else "-"
