"""The layout of the kernel test robot (LKP), for any comparison.

A column per kernel with its mean, its standard deviation in percent if that is over
two, and the change against the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from statistics import mean, stdev
from typing import TypeAlias

from rmqueue.figures import Figure, named
from rmqueue.results import Comparison
from rmqueue.statistics import by_seed, seeds_of, values_of

#: Values by LKP's keys, one per seed.
Figures: TypeAlias = dict[str, list[float]]
FIRST, OTHERS = 16, 27
#: Spread that LKP shows [share of the mean].
SHOWN_SPREAD = 0.02
COMMIT = re.compile(r"[0-9a-f]{10,40}")


def any_lkp(comparison: Comparison) -> str:
    """Lay any comparison out, in the names of our figures.

    Notes
    -----
    A row appears only where all runs of one kernel lie on one side of the mean of the
    first, and the other way round.
    """
    labels = comparison.labels
    runs = {label: by_seed(comparison.rows_of(label)) for label in labels}
    found = named(one for seeds in runs.values() for one in seeds.values())
    figures = {
        label: {
            key_of(figure): values
            for figure in found
            if figure.of_kernel and (values := values_of(seeds, figure.name))
        }
        for label, seeds in runs.items()
    }
    machine = comparison.machine or "none"
    axes = "tbox_group/testcase/simulator", f"{machine}/{comparison.experiment}/rmqueue"
    parts = [
        lkp_head(labels, axes, [commit_of(comparison, label) for label in labels]),
        *lkp_rows(labels, figures),
        "",
        comparison.source,
        *seeds_notes(comparison),
        *comparison.notes,
    ]
    return "\n".join(parts) + "\n"


def key_of(figure: Figure) -> str:
    """Key of a figure as LKP writes them: after a point, what it is of."""
    return f"rmqueue.{figure.name}"


def commit_of(comparison: Comparison, label: str) -> str:
    """Name a kernel as LKP does its commits; what is no hash is not cut."""
    published = comparison.published.get(label, {}).get("subject")
    row = comparison.rows_of(label)[0]
    subject = published or f"{row.strategy} on kernel profile {row.kernel}"
    short = label[:10] if COMMIT.fullmatch(label) else label
    return f'{short} ("{subject}")'


def seeds_notes(comparison: Comparison) -> Iterator[str]:
    """Yield what the columns are of."""
    seeds = seeds_of(comparison)
    yield "one seed" if seeds == 1 else f"mean of {seeds} seeds"
    if len(comparison.labels) > 1:
        yield "not shown: what does not tell a kernel from the first"


def lkp_head(
    commits: Sequence[str], axes: tuple[str, str], subjects: Sequence[str]
) -> str:
    """Axes and their values, commits, and column heads."""
    heads = [f"{commits[0][:FIRST]:<{FIRST}}"]
    heads += [f"{commit[:OTHERS]:<{OTHERS}}" for commit in commits[1:]]
    dashes = ["-" * FIRST, *("-" * OTHERS for _ in commits[1:])]
    more = len(commits) - 1
    return "\n".join(
        [
            "=" * 89,
            f"{axes[0]}:",
            f"  {axes[1]}",
            "",
            "commit: ",
            *(f"  {subject}" for subject in subjects),
            "",
            " ".join(heads) + " ",
            " ".join(dashes) + " ",
            "         %stddev" + "     %change         %stddev" * more,
            "             \\  " + "        |                \\  " * more,
        ]
    )


def lkp_rows(commits: tuple[str, ...], figures: dict[str, Figures]) -> Iterator[str]:
    """Yield the rows that say something."""
    parent = figures[commits[0]]
    for key in dict.fromkeys(key for one in figures.values() for key in one):
        others = [figures[commit].get(key, []) for commit in commits[1:]]
        base = parent.get(key, [])
        if (
            base
            and others
            and not any(other and differ(base, other) for other in others)
        ):
            continue
        cells = [value_cell(base)]
        cells += [change_cell(key, base, other) + value_cell(other) for other in others]
        yield "".join(cells) + f"  {key}"


def differ(base: list[float], other: list[float]) -> bool:
    """Whether two kernels differ in LKP's eyes."""
    above = min(other) > mean(base) and mean(other) > max(base)
    return above or (min(base) > mean(other) and mean(base) > max(other))


def value_cell(values: list[float]) -> str:
    """Mean, and its spread if it is large."""
    if not values:
        return " " * 16
    middle = mean(values)
    if abs(middle) < 1000:
        text = f"{middle:10.2f}"
    elif abs(middle) > 1e8:
        text = f"{middle:10.4g}"
    else:
        text = f"{int(middle):10d}"
    spread = stdev(values) if len(values) > 1 else 0.0
    if middle and spread > SHOWN_SPREAD * abs(middle):
        return text + f" ±{int(100 * spread / abs(middle)):3d}%"
    return text + " " * 6


def change_cell(key: str, base: list[float], other: list[float]) -> str:
    """Change against the parent; blank if there is none to be told."""
    if not base or not other or not differ(base, other):
        return " " * 12
    if key.startswith("perf-profile") or key.endswith("%"):
        return f"{mean(other) - mean(base):+10.1f}  "
    if mean(base) == 0:
        return " " * 12
    return f"{100 * (mean(other) / mean(base) - 1):+10.1f}% "
