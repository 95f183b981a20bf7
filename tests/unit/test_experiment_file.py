"""The experiment file: what it may say, and what is said about one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmqueue.errors import ConfigError, UsageError
from rmqueue.experiment_file import experiment_schema, load_experiment
from tests.unit.experiments import small_file


def test_a_file_is_read(tmp_path: Path) -> None:
    config = load_experiment(small_file(tmp_path))
    assert config.seeds == (1, 2)
    assert config.zone is not None
    assert config.zone.pages == 1500
    assert [entry.heading for entry in config.strategies] == [
        *("greedy-steal", "now", "none")
    ]


WRONG: dict[str, tuple[tuple[str, str], str]] = {
    "syntax": (("seeds = [1, 2]", "seeds = [1, 2"), "small.toml: "),
    "field": (
        ('name = "small"', 'name = "small"\nsedes = [1]'),
        "small.toml: sedes: no field is called 'sedes': did you mean 'seeds'?",
    ),
    "nested field": (
        ("pages = 1500", "pagse = 1500"),
        "small.toml: zone.pagse: no field is called 'pagse': did you mean 'pages'?",
    ),
    "value": (
        ("pages = 1500", "pages = -1"),
        "small.toml: zone.pages: should be greater than or equal to 1 (found -1)",
    ),
    "no name": (('name = "small"\n', ""), "small.toml: name: is missing: add it"),
    "twice": (
        ('label = "now"', 'label = "none"'),
        "strategies: 'none' occurs twice: give one a label",
    ),
    "seeds": (("[1, 2]", "[1, 1]"), "seeds: a number occurs twice"),
    "no seeds": (("[1, 2]", "[]"), "seeds: at least one is needed (found [])"),
    "no list": (("[1, 2]", "1.5"), "seeds: should be a list (found 1.5)"),
    "no table": (
        ("[zone]\npages = 1500\npageblock_order = 5\ncpus = 2", "zone = 5"),
        "small.toml: zone: should be a table (found 5)",
    ),
    "text for a number": (
        ("pages = 1500", 'pages = "1500"'),
        "zone.pages: should be a valid integer (found '1500')",
    ),
    "truth for a number": (
        ("[1, 2]", "[1, true]"),
        "seeds[1]: should be a valid integer (found true)",
    ),
    "kernel": (
        ('label = "now"', 'kernel = "7.03"'),
        "strategies[1].kernel: no kernel is called '7.03': did you mean '7.3'?",
    ),
    "both starts": (
        ('machine = "generic"', 'machine = "generic"\nrecording = "x"'),
        "a recording brings its own zones: remove one of the two",
    ),
    "no cost": (('machine = "generic"\n', ""), "give a machine, or costs of your own"),
    "negative cost": (
        ('machine = "generic"', "weights_ps = { lock = -1 }"),
        "weights_ps.lock: should be greater than or equal to 0",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_told_with_file_and_field(tmp_path: Path, case: str) -> None:
    change, words = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        load_experiment(small_file(tmp_path, change))
    assert words in str(caught.value)
    assert str(tmp_path / "small.toml") in str(caught.value)
    assert caught.value.exit_status == 2


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml"):
        load_experiment(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match=str(tmp_path)):
        load_experiment(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.toml"):
        load_experiment(tmp_path / "binary.toml")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = small_file(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_experiment(path).name == "small"


@pytest.mark.parametrize("seeds", ["{ from = 1, to = 3 }", "7"])
def test_seeds_of_a_study_are_sent_to_run(tmp_path: Path, seeds: str) -> None:
    path = small_file(tmp_path, ("[1, 2]", seeds))
    with pytest.raises(UsageError, match=f"^{path}: is a study: rmqueue run {path}$"):
        load_experiment(path)


def test_the_schema_describes_every_field() -> None:
    schema = experiment_schema()
    assert {"name", "zone", "workload", "strategies"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    for model in (schema, *schema["$defs"].values()):
        for name, field in model["properties"].items():
            assert field.get("description", "").endswith("]."), name
