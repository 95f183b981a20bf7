"""What a study varies: grids, zips, samples, ranges; and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rmqueue.errors import ConfigError, RmqueueError, UsageError
from rmqueue.study.design import Range, Sweep, concerns, crossed, with_point
from rmqueue.study.file import variants
from rmqueue.study.task import Task, tasks_of
from rmqueue.validation import validated

BASE = """\
name = "small"
machine = "generic"
seeds = [1, 2]

[zone]
pages = 4096
pageblock_order = 5

[workload]
name = "mix"
params = { operations = 2000 }

[[strategies]]
name = "remembered-fallback"

[[strategies]]
name = "capped-claim"
label = "capped"
"""


def study(folder: Path, more: str = "", base: str = BASE) -> Path:
    path = folder / "small.toml"
    path.write_text(base + more)
    return path


def tasks(folder: Path, more: str = "", base: str = BASE) -> list[Task]:
    return tasks_of(variants(study(folder, more, base)))


def sweep(**fields: Any) -> Sweep:
    return validated(Sweep, fields, "test")


def points(*sweeps: Sweep) -> list[tuple[Any, ...]]:
    return [tuple(point.values()) for point in crossed(sweeps)]


def test_a_grid_is_each_with_each() -> None:
    one = sweep(over={"a": [1, 2], "b": {"from": 0, "to": 10, "count": 3}})
    assert points(one) == [(1, 0), (1, 5), (1, 10), (2, 0), (2, 5), (2, 10)]


def test_a_zip_is_side_by_side() -> None:
    one = sweep(design="zip", over={"a": [1, 2], "b": ["x", "y"]})
    assert points(one) == [(1, "x"), (2, "y")]
    assert points(one, sweep(over={"c": [True, False]})) == [
        *((1, "x", True), (1, "x", False)),
        *((2, "y", True), (2, "y", False)),
    ]


def test_a_sample_takes_each_part_of_each_range_once() -> None:
    over = {"a": {"from": 0.0, "to": 1.5}, "b": ["x", "y"]}
    found = points(sweep(design="sample", samples=10, over=over))
    assert found == points(sweep(design="sample", samples=10, over=over))
    other = points(sweep(design="sample", samples=10, seed=2, over=over))
    assert found != other
    for one in (found, other):
        assert sorted(int(a / 0.15) for a, _ in one) == list(range(10))
        assert sorted(b for _, b in one) == ["x"] * 5 + ["y"] * 5


def test_ranges() -> None:
    def values(**fields: Any) -> list[float]:
        return validated(Range, fields, "test").values()

    assert values(**{"from": 1, "to": 64, "count": 7, "scale": "log"}) == [
        *(1, 2, 4, 8, 16, 32, 64),
    ]
    assert values(**{"from": 0.5, "to": 1.5, "count": 3}) == [0.5, 1.0, 1.5]
    assert values(**{"from": 3, "to": 1, "count": 9}) == [3, 2, 1]  # each once
    assert all(isinstance(v, int) for v in values(**{"from": 1, "to": 9, "count": 4}))


def test_no_sweep_is_one_point() -> None:
    assert list(crossed(())) == [{}]


def test_a_point_goes_to_its_place() -> None:
    values = {
        "zone": {"pages": 1},
        "strategies": [{"name": "a"}, {"name": "b", "label": "c", "params": {"x": 1}}],
    }
    point = {
        "zone.cpus": 4,
        "machine": "m",
        "strategies.c.params.x": 2,
        "strategies.*.kernel": "7.3",
        "workload.params.fill": 0.5,
    }
    found = with_point(values, point)
    assert found == {
        "zone": {"pages": 1, "cpus": 4},
        "machine": "m",
        "workload": {"params": {"fill": 0.5}},
        "strategies": [
            {"name": "a", "kernel": "7.3"},
            {"name": "b", "label": "c", "params": {"x": 2}, "kernel": "7.3"},
        ],
    }
    assert values["zone"] == {"pages": 1}


def test_who_is_concerned() -> None:
    assert concerns("zone.cpus", "any")
    assert concerns("strategies.*.kernel", "any")
    assert concerns("strategies.capped.params.x", "capped")
    assert not concerns("strategies.capped.params.x", "any")


def test_tasks_of_an_experiment(tmp_path: Path) -> None:
    found = tasks(tmp_path)
    assert [(task.label, task.seed) for task in found] == [
        *(("remembered-fallback", 1), ("remembered-fallback", 2)),
        *(("capped", 1), ("capped", 2)),
    ]
    assert len({task.key for task in found}) == 4
    assert found[0].words == "small: remembered-fallback, seed 1"
    assert found[0].need_bytes > 4096 * 10


def test_what_a_point_does_not_concern_runs_once(tmp_path: Path) -> None:
    more = '[[sweep]]\nover = { "strategies.capped.params.batches" = [1, 2, 4] }\n'
    found = tasks(tmp_path, more)
    assert [task.label for task in found].count("remembered-fallback") == 2
    assert [task.label for task in found].count("capped") == 6


def test_seeds_may_be_a_range(tmp_path: Path) -> None:
    base = BASE.replace("seeds = [1, 2]", "seeds = { from = 5, to = 8 }")
    assert [task.seed for task in tasks(tmp_path, base=base)[:4]] == [5, 6, 7, 8]
    base = BASE.replace("seeds = [1, 2]", "seeds = { from = 3, to = 3 }")
    assert {task.seed for task in tasks(tmp_path, base=base)} == {3}
    base = BASE.replace("seeds = [1, 2]", "seeds = { from = 1, to = 9, count = 3 }")
    assert {task.seed for task in tasks(tmp_path, base=base)} == {1, 5, 9}
    more = '[[sweep]]\nover = { "seeds" = [7, 9] }\n'
    assert {task.seed for task in tasks(tmp_path, more)} == {7, 9}


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (
            "{ from = 5, to = 1 }",
            "seeds.to: must not be below from, which is 5 (found 1)",
        ),
        ("{ from = 1 }", "seeds.to: is missing: add it"),
        ("{ to = 1 }", "seeds.from: is missing: add it"),
        ('{ from = "a", to = 3 }', "seeds.from: should be a valid number (found 'a')"),
        ("{ from = 1, to = nan }", "seeds.to: should be a finite number (found nan)"),
        ("{ from = 1, to = 20_000 }", "seeds.to: is more than 10,000 seeds from 1 on"),
        ("{ from = 1, to = 2, count = 1 }", "seeds.count: should be greater than or"),
        ("{ from = 1, to = 2, step = 1 }", "seeds.step: no field is called 'step'"),
        ("true", "seeds[0]: should be a valid integer (found true)"),
        ("[]", "seeds: at least one is needed (found [])"),
    ],
)
def test_mistakes_of_seeds(tmp_path: Path, seeds: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tasks(tmp_path, base=BASE.replace("[1, 2]", seeds))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'small.toml'}: {words}")
    assert "\n" not in message


def test_keys_say_what_makes_a_run(tmp_path: Path) -> None:
    """The same in every process; another for everything that changes a result."""
    before = {task.key for task in tasks(tmp_path)}
    assert {task.key for task in tasks(tmp_path)} == before
    for old, new in (
        ("pages = 4096", "pages = 4097"),
        ("operations = 2000", "operations = 2001"),
        ("seeds = [1, 2]", "seeds = [3, 4]"),
        ('machine = "generic"', "weights_ps = { lock = 5 }"),
        ('name = "small"', 'name = "other"'),
    ):
        assert not before & {
            t.key for t in tasks(tmp_path, base=BASE.replace(old, new))
        }
    words = 'description = "Other words."\n' + BASE
    assert {task.key for task in tasks(tmp_path, base=words)} == before
    assert not before & {t.key for t in tasks(tmp_path, "[keep]\nsamples = 3\n")}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[[sweep]]\nover = { "zone.pags" = [1] }', "zone.pags: no field is called"),
        ('[[sweep]]\nover = { "zone.pages" = [0] }', "at zone.pages = 0: zone.pages: "),
        ('[[sweep]]\nover = { "zone.pages" = [] }', "'zone.pages' has no values"),
        ("[[sweep]]\nover = {}", "sweep[0].over: at least one is needed (found {})"),
        (
            '[[sweep]]\nover = { "" = [1] }',
            "sweep[0].over: '' names no field: write one like zone.cpus",
        ),
        (
            '[[sweep]]\nover = { "zone.cpus" = 5 }',
            "sweep[0].over.zone.cpus: should be a list, or a range like "
            "{ from = 1, to = 8 } (found 5)",
        ),
        (
            '[[sweep]]\nover = { "zone.cpus" = { from = 1, to = 32, cuont = 5 } }',
            "sweep[0].over.zone.cpus.cuont: no field is called 'cuont': did you mean "
            "'count'?",
        ),
        (
            '[[sweep]]\nover = { "zone.cpus" = { form = 1, from = 1, to = 32 } }',
            "zone.cpus.form: no field is called 'form': did you mean 'from'?",
        ),
        (
            '[[sweep]]\nover = { "zone.cpus" = { from = "1", to = 32 } }',
            "sweep[0].over.zone.cpus.from: should be a valid number (found '1')",
        ),
        (
            '[[sweep]]\nover = { "zone.cpus" = { from = 1, to = nan } }',
            "sweep[0].over.zone.cpus.to: should be a finite number (found nan)",
        ),
        (
            '[[sweep]]\nover = { "zone.cpus" = { from = 1, to = inf, count = 4 } }',
            "sweep[0].over.zone.cpus.to: should be a finite number (found inf)",
        ),
        (
            '[[sweep]]\nover = { "zone.cpus" = { from = -1e308, to = 1e308 } }',
            "sweep[0].over.zone.cpus.to: is too far from -1e+308 (found 1e+308)",
        ),
        (
            '[[sweep]]\nover = { "zone.cpus" = ["2"] }',
            "at zone.cpus = 2: zone.cpus: should be a valid integer (found '2')",
        ),
        (
            '[[sweep]]\nover = { "strategies.capped.params.batches" = [true] }',
            "strategies[1].params.batches: should be a valid integer (found true)",
        ),
        (
            '[[sweep]]\nover = { "workload.params.fill" = ["0.5"] }',
            "workload.params.fill: should be a valid number (found '0.5')",
        ),
        (
            '[[sweep]]\nover = { "strategies.remembered-fallback.params.a" = [1] }',
            "strategies[0].params.a: no field is called 'a': there are no parameters",
        ),
        ('[[sweep]]\nover = { "name.x" = [1] }', "sweep: 'name.x': 'name' is no table"),
        (
            '[[sweep]]\nover = { "strategies.x.kernel" = ["7.3"] }',
            "no strategy is called 'x': write strategies.NAME.params.FIELD",
        ),
        (
            '[[sweep]]\ndesign = "zip"\n'
            'over = { "zone.cpus" = [1], "zone.pages" = [64, 65] }',
            "a zip must be equally long: 'zone.cpus' has 1, 'zone.pages' has 2",
        ),
        (
            '[[sweep]]\nover = { "zone.cpus" = [1] }\n'
            '[[sweep]]\nover = { "zone.cpus" = [2] }',
            "'zone.cpus' is varied by two sweeps: remove it from one",
        ),
        (
            '[[sweep]]\nsamples = 4\nover = { "zone.cpus" = [1] }',
            'sweep[0].samples: only design = "sample" draws',
        ),
        (
            '[[sweep]]\nover = { "zone.cpus" = { from = 0, to = 4, scale = "log" } }',
            "equal factors need ends above 0",
        ),
        (
            '[[sweep]]\nover = { "zone.start_pfn" = { from = 0, to = 999, count = 999 }'
            ', "zone.cpus" = { from = 1, to = 999, count = 999 } }',
            "more than 100,000 points: vary less",
        ),
        ("[keep]\nsamples = -1", "keep.samples: should be greater than or equal to 0"),
        (
            '[[sweep]]\nover = { "strategies.capped.params.batchs" = [1] }',
            "strategies[1].params.batchs: no field is called 'batchs': did you mean",
        ),
        (
            '[[sweep]]\nover = { "workload.params.operation" = [1] }',
            "workload.params.operation: no field is called 'operation': did you mean",
        ),
    ],
)
def test_mistakes(tmp_path: Path, more: str, words: str) -> None:
    with pytest.raises(RmqueueError) as caught:
        tasks(tmp_path, more)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'small.toml'}")
    assert words in message
    assert "\n" not in message
    assert isinstance(caught.value, ConfigError) or "no " in message


def test_one_kernel_for_all(tmp_path: Path) -> None:
    path = study(tmp_path, base=BASE.replace('"capped"', '"capped"\nkernel = "6.9"'))
    (one,) = variants(path, "7.3")
    assert [entry.kernel for entry in one.config.strategies] == ["7.3", "7.3"]
    with pytest.raises(RmqueueError, match=r"kernel: no kernel is called '7\.4'"):
        list(variants(path, "7.4"))
    for field in ("kernel", "zone.kernel", "strategies.*.kernel"):
        path = study(tmp_path, f'[[sweep]]\nover = {{ "{field}" = ["6.9", "7.3"] }}\n')
        with pytest.raises(UsageError, match=r"varies .*kernel': leave out --kernel"):
            list(variants(path, "7.3"))
