"""Experiments: everything wrong is found first; equal input gives equal numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rmqueue.errors import ConfigError, UnknownNameError, UsageError
from rmqueue.experiment import Experiment
from rmqueue.registry import default_registry
from rmqueue.runs import Run, native_kernel
from rmqueue.study.file import variants
from rmqueue.types import Strategy
from tests.unit.experiments import small_comparison, small_config, small_file


def test_rows_come_by_strategy_then_by_seed() -> None:
    comparison = small_comparison()
    keys = [(row.label, row.strategy, row.kernel, row.seed) for row in comparison.rows]
    assert keys == [
        (label, strategy, kernel, seed)
        for label, strategy, kernel in (
            ("greedy-steal", "greedy-steal", "6.9"),
            ("now", "remembered-fallback", "6.14"),
            ("none", "none", comparison.rows_of("none")[0].kernel),
        )
        for seed in (1, 2)
    ]
    assert comparison.labels == ("greedy-steal", "now", "none")
    assert comparison.machine == "generic"
    assert comparison.recorded is None


def test_outcomes_add_up() -> None:
    for row in small_comparison().rows:
        total = row.total
        assert total.ops == row.zones[0].ops > 600
        assert 0 < total.served <= total.asked
        assert total.holds.count == total.counters["lock"]
        assert total.holds.p99_ps <= total.holds.worst_ps <= total.holds.total_ps
        assert total.pageblocks == 47
        assert set(total.unusable) == set(total.fragmentation) == {3, 5}
        assert total.misuse == {}
        fallbacks = sum(map(sum, total.claim)) + sum(map(sum, total.steal))
        assert (fallbacks == 0) == (row.strategy == "none")


def test_the_same_experiment_gives_the_same_numbers() -> None:
    def numbers(run: Experiment) -> list[Any]:
        return [
            (row.total.counters, row.total.holds, row.total.claim, row.total.unusable)
            for row in run.rows()
        ]

    first, second = Experiment(small_config()), Experiment(small_config())
    assert numbers(first) == numbers(second)
    other = Experiment(small_config(seeds=[2]))
    assert numbers(first) != numbers(other)


def test_provenance_names_what_made_the_numbers() -> None:
    provenance = small_comparison().provenance
    assert provenance["kernels"]["now"] == "6.14"
    assert provenance["costs_ps"]["now"]["lock"] == 50_000
    assert provenance["plugins"]["strategy none"].endswith("(rmqueue_strategies.none)")
    assert set(provenance["input_sha256"]) == {"seed 1", "seed 2"}
    assert provenance["input_sha256"]["seed 1"] != provenance["input_sha256"]["seed 2"]
    assert provenance["config"]["workload"]["params"]["operations"] == 600
    for package in ("rmqueue", "python", "numpy", "numba"):
        assert provenance[package]


def test_progress_is_told_before_each_run() -> None:
    seen: list[Run] = []
    experiment = Experiment(small_config())
    rows = list(experiment.rows(on_run=seen.append))
    assert [(run.label, run.seed) for run in seen] == [
        (row.label, row.seed) for row in rows
    ]


def test_what_an_experiment_says_can_be_replaced(tmp_path: Path) -> None:
    path = str(small_file(tmp_path))
    loaded = Experiment.load(path, strategies=("now", "tight-fallback"), seed=9)
    assert [entry.heading for entry in loaded.strategies] == ["now", "tight-fallback"]
    assert loaded.seeds == (9,)
    with pytest.raises(UsageError, match="named twice"):
        Experiment.load(path, strategies=("none", "none"))


def test_quick_is_a_part_of_the_whole(tmp_path: Path) -> None:
    path = str(small_file(tmp_path))
    quick = Experiment.load(path, quick=True)
    assert quick.seeds == (1,)
    rows = list(quick.rows())
    whole = small_comparison().rows_of("none")[0].total.ops
    assert rows[-1].total.ops == pytest.approx(whole / 4, abs=2)


def test_built_in_experiments_load() -> None:
    registry = default_registry()
    files = [registry.experiment(name).path for name in registry.names("experiment")]
    for one in (one for file in files for one in variants(file)):
        experiment = Experiment(one.config, one.base, one.source)
        assert experiment.config.name
        assert len(experiment.runs()) >= len(experiment.strategies)


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "strategy": (
        *({"strategies": [{"name": "tight"}]}, UnknownNameError),
        "no strategy is called 'tight'",
    ),
    "machine": ({"machine": "generik"}, UnknownNameError, "did you mean 'generic'"),
    "workload": (
        {"workload": {"name": "mixx"}},
        UnknownNameError,
        "did you mean 'mix'",
    ),
    "params": (
        *({"workload": {"name": "mix", "params": {"fil": 1}}}, ConfigError),
        "small.toml: workload.params.fil: no field is called 'fil': did you",
    ),
    "strategy params": (
        *({"strategies": [{"name": "none", "params": {"x": 1}}]}, ConfigError),
        "small.toml: strategies[0].params.x: no field is called 'x'",
    ),
    "kernel": (
        *({"strategies": [{"name": "greedy-steal", "kernel": "7.3"}]}, UsageError),
        "small.toml: strategies[0].kernel: strategy 'greedy-steal' leaves",
    ),
    "kernel for all": (
        *({"strategies": [{"name": "greedy-steal"}], "kernel": "6.14"}, UsageError),
        "which kernel 6.14 does not allow: use kernel 6.1 or 6.8 or 6.9",
    ),
    "orders": (
        *({"unusable_orders": [11]}, ConfigError),
        "small.toml: unusable_orders: 11 exceeds the largest order of the zone, 10",
    ),
    "costs": (
        *({"machine": None, "weights_ps": {"locks": 1}}, ConfigError),
        "small.toml: weights_ps.locks: no work counter is called 'locks'",
    ),
    "recording": (
        *({"recording": "missing", "zone": None, "workload": None}, ConfigError),
        "small.toml: recording: there is no ",
    ),
    "cpus": (
        *({"workload": {"name": "mix", "params": {"cpus": 3}}}, ConfigError),
        "small.toml: workload.params.cpus: the zone has 1 (found 3)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_show_before_anything_runs(case: str) -> None:
    changes, kind, words = WRONG[case]
    with pytest.raises(kind) as caught:
        Experiment(small_config(**changes), source="small.toml")
    assert words in str(caught.value)


@pytest.mark.parametrize("seed", [-1, 1.5, "1"])
def test_a_seed_is_a_number_from_0(tmp_path: Path, seed: Any) -> None:
    with pytest.raises(UsageError, match=f"seed: .* needed, found {seed!r}"):
        Experiment.load(small_file(tmp_path), seed=seed)


def test_a_strategy_runs_on_its_own_kernel_unless_told() -> None:
    def nothing() -> int:
        return -1

    assert native_kernel(Strategy("x", "", nothing, kernel="6.14")) == "6.14"
    assert native_kernel(Strategy("x", "", nothing)) == "7.3"
    assert native_kernel(Strategy("x", "", nothing, mixed_lists=True)) == "6.9"
    fixed = Experiment(small_config(kernel="6.9"))
    assert {run.kernel for run in fixed.runs()} == {"6.9"}


def test_one_kernel_for_all(tmp_path: Path) -> None:
    path = small_file(tmp_path, ('label = "now"', 'label = "now"\nkernel = "6.14"'))
    one = Experiment.load(path, kernel="6.9")
    assert {run.kernel for run in one.runs()} == {"6.9"}
    with pytest.raises(UnknownNameError, match=r"'7\.33': did you mean '7\.3'"):
        Experiment.load(path, kernel="7.33")
    with pytest.raises(UsageError, match=r"^--kernel 7\.3: .*6\.9, or leave it out"):
        Experiment.load(path, kernel="7.3")
