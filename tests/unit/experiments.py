"""A small experiment that many unit tests run, and its result."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from rmqueue.experiment import Experiment
from rmqueue.experiment_file import ExperimentConfig
from rmqueue.results import Comparison

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
