"""A comparison against what was kept: every figure that differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rmqueue.errors import UsageError
from rmqueue.results import Comparison, Row
from rmqueue.study.columns import figures
from rmqueue.study.root import Root
from rmqueue.study.study import read_study

#: What differs from run to run.
TIMES = ("seconds",)


def against(comparison: Comparison, folder: Root) -> str:
    """Say how the rows of a comparison differ from those of a study.

    Parameters
    ----------
    comparison : Comparison
        What was run now.
    folder : Path or str
        The study; its runs of the same strategy, kernel and seed are compared.

    Returns
    -------
    str
        A line for each figure that differs, or that all are equal.

    Raises
    ------
    UsageError
        The study has no such run.
    """
    kept = [
        run.row
        for run in read_study(folder, with_samples=False).runs
        if same_requests(run.provenance, comparison.provenance)
    ]
    lines: list[str] = []
    compared = 0
    for row in comparison.rows:
        for before in (one for one in kept if same_run(one, row)):
            compared += 1
            lines += differences(before, row)
    if not compared:
        raise UsageError(
            f"--against {folder}: it has no run of the same requests with these "
            "strategies, parameters, kernels and seeds"
        )
    runs = f"{compared} of {len(comparison.rows)} runs compared with {folder}"
    if not lines:
        return f"{runs}: equal in every figure\n"
    return "".join(f"{line}\n" for line in [f"{runs}:", *lines])


def same_requests(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the same was asked, from the same start: digests, and a quick run or not.

    Of a kept run there is the digest of its own seed.
    """
    inputs = now["input_sha256"]
    return before["quick"] == now["quick"] and all(
        inputs.get(seed) == digest for seed, digest in before["input_sha256"].items()
    )


def same_run(before: Row, now: Row) -> bool:
    """Whether two rows are of the same strategy, parameters, kernel and seed."""
    return all(
        getattr(before, name) == getattr(now, name)
        for name in ("strategy", "params", "kernel", "seed")
    )


def differences(before: Row, now: Row) -> Iterator[str]:
    """Yield a line for each figure of a row that differs."""
    old = dict(figures(before.total))
    new = dict(figures(now.total))
    seed = "" if now.seed is None else f", seed {now.seed}"
    for name in dict.fromkeys([*old, *new]):
        was, is_ = old.get(name), new.get(name)
        if was == is_ or name in TIMES:
            continue
        share = f" ({100 * (is_ - was) / was:+.1f} %)" if was and is_ else ""
        yield f"  {now.label}{seed}: {name} {shown(was)} -> {shown(is_)}{share}"


def shown(value: float | None) -> str:
    """Show a figure; what one side does not have is a dash."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
