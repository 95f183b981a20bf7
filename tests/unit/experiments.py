"""A small experiment that many unit tests run, and its result."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from rmqueue.experiment import Experiment
from rmqueue.experiment_file import ExperimentConfig
from rmqueue.results import Comparison, Holds, Outcome, Row

SMALL = """\
name = "small"
description = "A sentence."
machine = "generic"
seeds = [1, 2]
unusable_orders = [3, 5]

[zone]
pages = 1500
pageblock_order = 5
cpus = 2

[workload]
name = "mix"
params = { operations = 600, pcp = true, fill = 0.9 }

[[strategies]]
name = "greedy-steal"

[[strategies]]
name = "remembered-fallback"
label = "now"

[[strategies]]
name = "none"
"""


def small_file(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the experiment file, with some words replaced."""
    text = SMALL
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / "small.toml"
    path.write_text(text)
    return path


def small_config(**changes: Any) -> ExperimentConfig:
    """Make the same in Python."""
    values: dict[str, Any] = {
        "name": "small",
        "machine": "generic",
        "zone": {"pages": 1500, "pageblock_order": 5},
        "workload": {"name": "mix", "params": {"operations": 300}},
        "strategies": [{"name": "none"}, {"name": "tight-fallback"}],
        "unusable_orders": [3],
    }
    return ExperimentConfig.model_validate({**values, **changes})


@cache
def small_comparison() -> Comparison:
    """Run the small experiment once for all tests."""
    config = ExperimentConfig.model_validate(tomllib.loads(SMALL))
    return Experiment(config, source="small.toml").compare()


def of_seeds(comparison: Comparison, *seeds: int) -> Comparison:
    """Leave out the rows of other seeds."""
    rows = tuple(row for row in comparison.rows if row.seed in seeds)
    return replace(comparison, rows=rows)


def made_row(label: str, seed: int, **counters: int) -> Row:
    """Make a row by hand: counters, and ``mixed_pageblocks``; the rest is empty."""
    holds = Holds(10, 5_000_000, 1_000_000, 500_000, {})
    none = ((0,) * 5,) * 5
    mixed = counters.pop("mixed_pageblocks", 4)
    total = Outcome(
        zone="Normal",
        pages=1024,
        ops=100,
        seconds=1e-6,
        asked=200,
        served=200,
        counters={"claim_try": 0, "scan_block": 0, **counters},
        holds=holds,
        claim=none,
        steal=none,
        pollute=none,
        free_pages=824,
        unusable={4: 250},
        fragmentation={4: -1000},
        pageblocks=32,
        mixed_pageblocks=mixed,
        misuse={},
    )
    return Row(label, "none", {}, "6.14", seed, "generic", total, (total,))


def five_seeds() -> Comparison:
    """Two strategies by hand: half as many attempts more, scans where none were."""
    rows = [made_row("base", seed, claim_try=10 * seed) for seed in range(1, 6)]
    rows += [
        made_row(
            "other_50%",
            seed,
            claim_try=15 * seed,
            scan_block=seed,
            mixed_pageblocks=6,
        )
        for seed in range(1, 6)
    ]
    return Comparison(
        experiment="by-hand",
        description="Two strategies & five seeds.",
        source="workload made up",
        machine="generic",
        index_zone="Normal",
        unusable_orders=(4,),
        rows=tuple(rows),
        notes=("a note",),
    )
