"""Reporters of the two published regressions: the board's table, and LKP's."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean, median, median_low

from rmqueue.errors import UsageError
from rmqueue.hookspecs import hookimpl
from rmqueue.results import Comparison, Row
from rmqueue.types import Reporter
from rmqueue_plugins.lkp import Figures, any_lkp, lkp_head, lkp_rows

UNTRACED = ", untraced"
#: Counters of the worst refill that tell how it came about.
TELLING = ("area", "claim_try", "scan_block", "scan_page", "steal")
#: usemem counts what it reads and an eighth more; a page has 4 KiB.
KB_PER_PAGE = 4 * 9 / 8
TEST = "vm-scalability/lru-file-mmap-read/rmqueue"
#: Measure without which there is nothing to say in LKP's keys.
NODES = "machine_nodes"


def measures_of(rows: tuple[Row, ...], name: str) -> list[float]:
    """One measure of several seeds."""
    try:
        return [row.total.measures[name] for row in rows]
    except KeyError:
        raise UsageError(
            f"this report needs the measure {name!r}, which the workload does not "
            "take: use --report terminal=-"
        ) from None


def board(comparison: Comparison) -> str:
    """Lay the board's table out: published beside simulated, traced and untraced."""
    labels = [label for label in comparison.labels if not label.endswith(UNTRACED)]
    seeds = len(comparison.rows_of(labels[0]))
    head = ["strategy", "published", "traced", "untraced", "pages", *TELLING]
    lines = [head, *(board_line(comparison, label) for label in labels)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        f"{comparison.experiment}: {comparison.description}",
        comparison.source,
        f"[ms], min / median / max of {seeds} seeds; counters: the median seed, traced",
        "",
    ]
    for line in lines:
        cells = zip(line, widths, strict=True)
        first = f"{line[0]:<{widths[0]}}"
        rest = [f"{cell:>{width}}" for cell, width in list(cells)[1:]]
        text.append("  ".join([first, *rest]))
    return "\n".join([*text, "", *comparison.notes]) + "\n"


def board_line(comparison: Comparison, label: str) -> list[str]:
    """One strategy of the board's table."""
    traced = comparison.rows_of(label)
    untraced = comparison.rows_of(label + UNTRACED)
    holds = measures_of(traced, "worst_refill_ms")
    middle = traced[holds.index(median_low(holds))].total.measures
    published = comparison.published.get(label, {})
    return [
        label,
        str(published.get("worst_ms", "")),
        spread_ms(holds),
        spread_ms(measures_of(untraced, "worst_refill_ms")) if untraced else "",
        f"{middle['worst_refill_pages']:.0f}",
        *(f"{middle[f'worst_refill_{name}']:.0f}" for name in TELLING),
    ]


def spread_ms(values: list[float]) -> str:
    """Least, median and largest of some times [ms]."""
    low, middle, high = (f(values) for f in (min, median, max))
    return " / ".join(milliseconds(value) for value in (low, middle, high))


def milliseconds(value: float) -> str:
    """Show a time with two digits or more."""
    return (
        f"{value:.0f}"
        if value >= 20
        else f"{value:.1f}"
        if value >= 2
        else f"{value:.2f}"
    )


def lkp(comparison: Comparison) -> str:
    """Lay a comparison out as LKP's robot does, what was published below.

    Where the workload measures what vm-scalability does, in the robot's keys; else in
    the names of our figures.
    """
    if all(NODES not in row.total.measures for row in comparison.rows):
        return any_lkp(comparison)
    commits = comparison.labels
    simulated = {commit: simulated_figures(comparison, commit) for commit in commits}
    published = {commit: published_figures(comparison, commit) for commit in commits}
    parts = [
        lkp_head(
            commits,
            (
                "tbox_group/testcase/test/simulator",
                f"{comparison.rows[0].machine}/{TEST}",
            ),
            [subject(comparison, commit) for commit in commits],
        ),
        *lkp_rows(commits, simulated),
        "",
        seeds_note(comparison),
        *published_part(commits, published),
        "",
        *deviations(commits, simulated, published),
        "",
        *comparison.notes,
    ]
    return "\n".join(parts) + "\n"


def subject(comparison: Comparison, commit: str) -> str:
    """Name a commit as the robot does: ten digits, and its subject."""
    words = comparison.published.get(commit, {}).get("subject", "")
    return f'{commit[:10]} ("{words}")'


def published_part(
    commits: tuple[str, ...], published: dict[str, Figures]
) -> Iterator[str]:
    """Yield the published rows, if there are any."""
    if any(published.values()):
        yield from ("", "published:", *lkp_rows(commits, published))


def simulated_figures(comparison: Comparison, commit: str) -> Figures:
    """Figures of a kernel by LKP's keys, one per seed; all nodes together."""
    rows = comparison.rows_of(commit)
    nodes = measures_of(rows, NODES)[0]
    keys = {
        "vm-scalability.throughput": ("pages_per_s", nodes * KB_PER_PAGE),
        "vm-scalability.median": ("median_task_pages_per_s", KB_PER_PAGE),
        "vm-scalability.time.elapsed_time": ("elapsed_s", 1.0),
        "perf-profile.self.zone_lock_spinning": ("spin_share_pct", 1.0),
        "rmqueue.claim_attempts": ("claim_attempts", nodes),
        "rmqueue.pages_stolen": ("pages_stolen", nodes),
        "rmqueue.claim_attempts_per_1000_pages": ("claims_per_kpage", 1.0),
        "rmqueue.pages_stolen_per_1000_pages": ("steals_per_kpage", 1.0),
        "rmqueue.nr_free_pages": ("free_pages", nodes),
    }
    return {
        key: [value * factor for value in measures_of(rows, name)]
        for key, (name, factor) in keys.items()
    }


def published_figures(comparison: Comparison, commit: str) -> Figures:
    """Figures that were published of a kernel."""
    known = comparison.published.get(commit, {})
    return {k: [float(v)] for k, v in known.items() if not isinstance(v, str)}


def seeds_note(comparison: Comparison) -> str:
    """Say how many runs the figures are of, and how long these were."""
    seeds = len({row.seed for row in comparison.rows})
    runs = "one seed; --full runs more" if seeds == 1 else f"mean of {seeds} seeds"
    pages = [row.total.served / 1e6 for row in comparison.rows]
    return f"{runs}; {min(pages):.0f} to {max(pages):.0f} million pages a node and run"


def deviations(
    commits: tuple[str, ...],
    simulated: dict[str, Figures],
    published: dict[str, Figures],
) -> Iterator[str]:
    """Yield how far each figure is off what was published."""
    yield "deviation of the simulated figure from the published one:"
    for key in ("vm-scalability.throughput", "vm-scalability.median"):
        cells = [
            f"{commit} {100 * (mean(simulated[commit][key]) / value[0] - 1):+.1f}%"
            for commit in commits
            if (value := published[commit].get(key))
        ]
        if cells:
            yield f"  {key}: {', '.join(cells)}"
    key = "vm-scalability.throughput"
    for commit in commits[1:]:
        ours = mean(simulated[commit][key]) / mean(simulated[commits[0]][key])
        words = f"  {commit} / {commits[0]}: simulated {ours:.3f}"
        known = published[commit].get(key), published[commits[0]].get(key)
        if known[0] and known[1]:
            words += f", published {known[0][0] / known[1][0]:.3f}"
        yield words


@hookimpl
def rmqueue_reporters() -> list[Reporter]:
    """Register the reporters of this module."""
    return [
        Reporter(
            "board", "Worst refills beside those traced on a board.", ".txt", board
        ),
        Reporter("lkp", "The comparison table of the kernel test robot.", ".txt", lkp),
    ]
