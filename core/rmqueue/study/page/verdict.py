"""What came of a study, in words: who is shortest, by how much, and how surely."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean

from rmqueue.results import Comparison, Outcome
from rmqueue.study.page.chapters import Chapter
from rmqueue.study.page.numbers import (
    count,
    duration,
    figure,
    figure_of,
    mean,
    measure,
    measured,
    unusable,
)
from rmqueue.study.page.series import THROUGHPUT, unusable_rows
from rmqueue.study.page.table import fallbacks, grouped

#: Measures of the multi-CPU loop that are judged already, or are no merit.
SAID = {
    *(THROUGHPUT, "claims_per_kpage", "steals_per_kpage", "claim_attempts"),
    *("pages_stolen", "free_pages", "machine_events", "elapsed_s"),
}
#: Measure of a workload: requests that it has not got.
FAILED = "failed_requests"
#: Share of pages that a strategy may serve less than others, and be judged [1].
MARGIN = 0.02
#: Ratio of two figures from which on the first sentence makes something of it [1].
NOTABLE = 1.05
#: Contests that the first sentence names, at the most.
MOST_LED = 4
#: Measures of the workload that are told of, at the most.
MOST_MEASURES = 3


@dataclass(frozen=True)
class Standing:
    """What the seeds of a strategy have in one figure."""

    label: str
    values: Mapping[int | None, float]

    @property
    def low(self) -> float:
        """Least of all seeds."""
        return min(self.values.values())

    @property
    def middle(self) -> float:
        """Mean of the seeds."""
        return mean(list(self.values.values()))

    @property
    def high(self) -> float:
        """Most of all seeds."""
        return max(self.values.values())


@dataclass(frozen=True)
class Contest:
    """A figure that strategies are judged by.

    Attributes
    ----------
    topic, first, last : str
        What it is; what the first one is, and the last: ``"shortest"``, ``"longest"``.
    number : callable
        The figure of an outcome.
    show : callable
        Its words.
    more : bool
        More is better.
    """

    topic: str
    first: str
    last: str
    number: Callable[[Outcome], float]
    show: Callable[[float], str]
    more: bool = False


def contests(table: Comparison) -> Iterator[Contest]:
    """Yield what strategies are judged by, the most telling first."""
    yield Contest(
        "worst hold of the zone lock",
        "shortest",
        "longest",
        lambda outcome: outcome.holds.worst_ps,
        duration,
    )
    if THROUGHPUT in measured(table):
        yield Contest(
            "throughput",
            "highest",
            "lowest",
            partial(measure, THROUGHPUT),
            lambda value: f"{figure_of(value)} pages/s",
            more=True,
        )
    for order in sorted(table.unusable_orders, reverse=True):
        if all(order in row.total.unusable for row in table.rows):
            yield Contest(
                f"free memory that order {order} cannot use at the end",
                "least",
                "most",
                partial(unusable, order),
                lambda value: f"{value / 10:.1f} %",
            )
    yield counted("pageblocks that mix movable pages with others", mixed)
    yield counted("attempts to claim", lambda outcome: outcome.counters["claim_try"])
    yield counted("pages placed in foreign pageblocks", partial(fallbacks, "pollute"))


def mixed(outcome: Outcome) -> float:
    """Mixed pageblocks at the end."""
    return outcome.mixed_pageblocks


def counted(topic: str, number: Callable[[Outcome], float]) -> Contest:
    """Make a contest of what is counted, of which less is better."""
    return Contest(topic, "fewest", "most", number, count)


def standings(table: Comparison, contest: Contest) -> list[Standing]:
    """Rank strategies, the best first."""
    found = []
    for label in table.labels:
        rows = table.rows_of(label)
        values = {row.seed: contest.number(row.total) for row in rows}
        found.append(Standing(name_of(table, label), values))
    return sorted(found, key=lambda one: -one.middle if contest.more else one.middle)


def name_of(table: Comparison, label: str) -> str:
    """Heading of a strategy, with its name if the heading does not tell."""
    strategy = table.rows_of(label)[0].strategy
    told = label in strategy or strategy in label
    return label if told else f"{label} ({strategy})"


def by_machine(table: Comparison) -> Iterator[tuple[str, Comparison]]:
    """Part a table by what its costs are of: times of two machines do not compare.

    Yields
    ------
    (str, Comparison)
        What to say before it, and the part.
    """
    machines = dict.fromkeys(row.machine for row in table.rows)
    for machine in machines:
        rows = tuple(row for row in table.rows if row.machine == machine)
        before = f"{machine}: " if len(machines) > 1 else ""
        yield before, replace(table, rows=rows)


def lead(chapter: Chapter) -> str:
    """Say who leads in what, in a sentence for each machine."""
    parts = by_machine(fair(chapter.table))
    return " ".join(f"{before}{lead_of(table)}" for before, table in parts)


def lead_of(table: Comparison) -> str:
    """Say in a sentence who leads in what."""
    if len(table.labels) < 2:
        return f"Only {name_of(table, table.labels[0])} is judged."
    parts = []
    for contest in list(contests(table)):
        found = standings(table, contest)
        if notable(found[0].middle, found[-1].middle) and not doubt(
            found[0], found[-1]
        ):
            parts.append(f"{contest.first} {contest.topic}: {best(found)}")
    sentence = "; ".join(parts[:MOST_LED]) or "nothing that is judged differs much"
    return " ".join([f"{sentence[0].upper()}{sentence[1:]}.", *price(table)])


def grouped_leads(chapters: Sequence[Chapter]) -> list[tuple[str, tuple[int, ...]]]:
    """First sentences of several chapters, each once, with the chapters' numbers."""
    found: dict[str, tuple[int, ...]] = {}
    for number, chapter in enumerate(chapters):
        words = lead(chapter)
        found[words] = (*found.get(words, ()), number)
    return list(found.items())


def price(table: Comparison) -> Iterator[str]:
    """Warn of who may be first because it lets more requests fail than others."""
    contest = counted("requests that failed", partial(measure, FAILED))
    if FAILED not in measured(table):
        return
    found = standings(table, contest)
    usual = found[(len(found) - 1) // 2]
    for one in found:
        if one.low > 2 * found[0].high and one.middle > 2 * usual.middle:
            yield (
                f"But {one.label} let {count(one.middle)} requests fail, "
                f"{found[0].label} {count(found[0].middle)}: what it does better, it "
                "may do better for that."
            )


def best(found: list[Standing]) -> str:
    """Name who is first, all of them if several are."""
    return listed([one.label for one in found if one.middle == found[0].middle])


def listed(names: list[str]) -> str:
    """Join names as one says them; those with a comma by semicolons.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(["a, 1", "b, 1"])
    ('a, b and c', 'a, 1; b, 1')
    """
    if any("," in name for name in names):
        return "; ".join(names)
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def sentences(chapter: Chapter) -> Iterator[str]:
    """Yield what is to be said of a chapter."""
    table = chapter.table
    yield from shortfalls(table)
    for before, judged in by_machine(fair(table)):
        said = [sentence_of(judged, contest) for contest in contests(judged)]
        said += [*on_average(chapter, judged.labels), *telling_measures(judged)]
        yield from (f"{before}{words}" for words in said)
    seeds = {row.seed for row in table.rows}
    if len(seeds) == 1:
        yield "One run each: exact, and nothing is known of other seeds."
    else:
        yield f"Figures are means of {len(seeds)} seeds."


def sentence_of(table: Comparison, contest: Contest) -> str:
    """Say who is first and last in a figure, how far apart, and how surely."""
    found = standings(table, contest)
    first, last = found[0], found[-1]
    topic = f"{contest.topic[0].upper()}{contest.topic[1:]}"
    if len(found) == 1:
        return f"{topic}: {contest.show(first.middle)} with {first.label}."
    if first.middle == last.middle:
        return f"{topic}: {contest.show(first.middle)}, the same for all."
    lasts = listed([one.label for one in found if one.middle == last.middle])
    return (
        f"{topic}: {contest.first} with {best(found)} ({contest.show(first.middle)}), "
        f"{contest.last} with {lasts} ({contest.show(last.middle)}"
        f"{times(first.middle, last.middle)}).{doubt(first, last)}"
    )


def notable(first: float, last: float) -> bool:
    """Whether two figures are far enough apart to make anything of it.

    Examples
    --------
    >>> notable(178.0, 172.3), notable(0, 1), notable(0, 0)
    (False, True, False)
    """
    low, high = sorted((first, last))
    return high > low and (low <= 0 or high / low >= NOTABLE)


def times(first: float, last: float) -> str:
    """Say how far apart two figures are, if that is worth saying."""
    low, high = sorted((first, last))
    if low <= 0 or not notable(low, high):
        return ""
    ratio = high / low
    how = f"{ratio:.1f}" if ratio < 100 else f"{ratio:,.0f}"
    return f", {how} times" if high == last else f", {how} times less"


def doubt(first: Standing, last: Standing) -> str:
    """Warn where not every seed says so: each gives both the same requests."""
    steps = [
        (last.values[seed] - value) * (last.middle - first.middle)
        for seed, value in first.values.items()
        if seed in last.values
    ]
    so = sum(step > 0 for step in steps)
    if steps and so == len(steps):
        return ""
    return f" So in {so} of {len(steps)} seeds: this may be chance."


def on_average(chapter: Chapter, labels: Sequence[str]) -> Iterator[str]:
    """Say who kept most free memory usable over the whole run, not just at its end."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in unusable_rows(chapter):
        if row["strategy"] not in labels:
            continue
        of_order = found.setdefault(row["order"], {})
        of_order.setdefault(row["strategy"], []).append(row["value"])
    for order, ways in found.items():
        means = {label: fmean(values) for label, values in ways.items()}
        first, last = (
            min(means, key=means.__getitem__),
            max(means, key=means.__getitem__),
        )
        if means[last] - means[first] >= 0.001:
            yield (
                f"On average over the run, {order} could not use {means[first]:.1%} of "
                f"free memory with {first}, {means[last]:.1%} with {last}."
            )


def unserved(table: Comparison, label: str) -> float:
    """Share of the pages asked for that a strategy has not served."""
    rows = table.rows_of(label)
    asked = sum(row.total.asked for row in rows)
    return 1 - sum(row.total.served for row in rows) / asked if asked else 0.0


def fair(table: Comparison) -> Comparison:
    """Leave out who has not served what others have: doing nothing costs nothing."""
    shares = {label: unserved(table, label) for label in table.labels}
    least = min(shares.values())
    rows = tuple(row for row in table.rows if shares[row.label] <= least + MARGIN)
    return replace(table, rows=rows)


def shortfalls(table: Comparison) -> Iterator[str]:
    """Say who did not serve all that was asked, and who is left out for that."""
    shares = {label: unserved(table, label) for label in table.labels}
    if any(shares.values()):
        found = (f"{share:.2%} with {label}" for label, share in shares.items())
        yield f"Pages asked for and not served: {', '.join(found)}."
    left = [label for label in table.labels if label not in fair(table).labels]
    if left:
        yield f"Left out of the verdict, for serving so much less: {listed(left)}."


def telling_measures(table: Comparison) -> Iterator[str]:
    """Yield those of the workload's own measures that differ most and for sure."""
    found = []
    for name in measured(table):
        if name in SAID:
            continue
        contest = Contest(name, "lowest", "highest", partial(measure, name), figure)
        ranked = standings(table, contest)
        low, high = ranked[0], ranked[-1]
        alike = figure(low.middle) == figure(high.middle)
        if low.high < high.low and high.middle > 0 and not alike:
            ratio = high.middle / max(low.middle, 1e-9)
            found.append((ratio, name, low, high))
    found.sort(key=lambda one: -one[0])
    for _, name, low, high in found[:MOST_MEASURES]:
        yield (
            f"{name}, measured by the workload: from {grouped(figure(low.middle))} "
            f"({low.label}) to {grouped(figure(high.middle))} ({high.label})."
        )
