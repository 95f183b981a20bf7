"""Configurations: checked when they are made, frozen afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rmqueue.config import StrategyConfig, ZoneConfig, cma_area
from rmqueue.errors import ConfigError
from rmqueue.mm.profile import PROFILES
from rmqueue.validation import dotted, validated
from rmqueue.zone import Zone


def test_the_defaults_are_the_kernels() -> None:
    config = ZoneConfig(pages=1024)
    assert (config.pageblock_order, config.max_page_order) == (9, 10)
    assert config.watermark_boost_factor == 15_000
    assert config.watermark_scale_factor == 10
    assert config.kernel in PROFILES


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no pages": ({"pages": 0}, "pages: should be greater than or equal to 1"),
    "missing": ({}, "pages: is missing: add it"),
    "too many": ({"pages": 1 << 33}, "pages: a zone of this shape holds at most"),
    "far": ({"pages": 1, "start_pfn": 1 << 52}, "start_pfn: should be less than"),
    "kernel": ({"pages": 1, "kernel": "6.41"}, "kernel: no kernel is called '6.41'"),
    "order": (
        {"pages": 1, "pageblock_order": 11},
        "pageblock_order: must not exceed max_page_order, which is 10",
    ),
    "default order": (
        {"pages": 1, "max_page_order": 5},
        "pageblock_order: must not exceed max_page_order, which is 5",
    ),
    "largest order": (
        {"pages": 1, "max_page_order": 14},
        "max_page_order: should be less than or equal to 13",
    ),
    "misspelt": ({"pages": 1, "cpu": 2}, "cpu: no field is called 'cpu': did you mean"),
    "text": ({"pages": "many"}, "pages: should be a valid integer"),
    "no cma": (
        {"pages": 4096, "cma_pageblocks": 1},
        "cma_pageblocks: a CMA area needs a kernel with CMA: set cma = true",
    ),
    "cma too large": (
        {"pages": 600, "cma": True, "cma_pageblocks": 2},
        "cma_pageblocks: the zone has fewer whole pageblocks than that",
    ),
    "reserved outside": (
        {"pages": 100, "reserved": [(90, 101)]},
        "reserved: (90, 101) must be an ascending range in [0, 100)",
    ),
    "reserved twice": (
        {"pages": 100, "reserved": [(1, 5), (4, 9)]},
        "reserved: (4, 9) must be an ascending range in [5, 100)",
    ),
    "all reserved": (
        {"pages": 100, "reserved": [(0, 50), (50, 100)]},
        "reserved: every page is reserved: leave at least one",
    ),
    "reserved in cma": (
        {
            "pages": 1024,
            "cma": True,
            "cma_pageblocks": 1,
            "reserved": [(500, 513)],
        },
        "reserved: (500, 513) overlaps the CMA area (512, 1024)",
    ),
    "huge": ({"pages": 1, "min_free_kbytes": 1 << 31}, "min_free_kbytes: should be"),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_told_with_their_field(case: str) -> None:
    values, words = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        validated(ZoneConfig, values, "zone.toml")
    assert f"zone.toml: {words}" in str(caught.value)
    with pytest.raises(ValidationError):
        ZoneConfig.model_validate(values)


def test_every_mistake_gets_a_line_and_a_path() -> None:
    with pytest.raises(ConfigError) as caught:
        validated(ZoneConfig, {"pages": 0, "cpus": 0}, "a.toml", "zone")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["zone.cpus", "zone.pages"]
    assert dotted(("a", 0, "b")) == "a[0].b"


def test_configurations_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ZoneConfig(pages=1).pages = 2
    with pytest.raises(ValidationError, match="frozen"):
        StrategyConfig(name="x").name = "y"


def test_the_cma_area_is_the_last_whole_pageblocks() -> None:
    values = {"start_pfn": 100, "pages": 3000, "pageblock_order": 9}
    assert cma_area(values, 2) == (2048, 3072)
    assert cma_area(values, 0) is None
    cma = {"cma": True, "cma_pageblocks": 2}
    zone = Zone(ZoneConfig.model_validate({**values, **cma}))
    assert zone.pageblock_types().tolist() == [0, 1, 1, 1, 4, 4, 1]
    assert zone.free_list(10, "cma").tolist() == [2048]
    zone.check()


@pytest.mark.parametrize("model", [ZoneConfig, StrategyConfig])
def test_every_field_is_described_with_its_unit(model: Any) -> None:
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.description.endswith("]."), name
        assert "[" in field.description, name
