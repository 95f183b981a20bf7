"""What a zone and a strategy are configured by, checked when they are made.

>>> ZoneConfig(pages=262_144, cpus=2).pageblock_order
9
>>> ZoneConfig(pages=262_144, kernel="7.03")
Traceback (most recent call last):
    ...
pydantic_core._pydantic_core.ValidationError: 1 validation error for ZoneConfig
kernel
  Value error, no kernel is called '7.03': did you mean '7.3'? ...
"""

from __future__ import annotations

from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from rmqueue.errors import UnknownNameError
from rmqueue.mm.profile import PROFILES

#: Links are 32 bits wide: pages, with the zone's ends rounded outwards, and list heads.
LINK_LIMIT = 1 << 32
#: List heads of the buddy and batch lists, and of one CPU's lists, at the most.
ZONE_HEADS, CPU_HEADS = 256, 16
INT_MAX = (1 << 31) - 1


class Model(BaseModel):
    """What all our models have in common: no surprises after or beside the fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def check_kernel(name: str) -> str:
    """Refuse a kernel profile that does not exist."""
    if name not in PROFILES:
        raise ValueError(str(UnknownNameError("kernel", name, PROFILES)))
    return name


class ZoneConfig(Model):
    """One zone: its geometry, the kernel that runs it, and the kernel's settings."""

    start_pfn: int = Field(
        default=0,
        ge=0,
        lt=1 << 52,
        description="First page of the zone, absolute [pfn].",
    )
    max_page_order: int = Field(
        default=10,
        ge=4,
        le=13,
        description="Order of the largest block, MAX_PAGE_ORDER [order].",
    )
    pageblock_order: int = Field(
        default=9,
        ge=2,
        validate_default=True,
        description="Order of a pageblock, from 2 to max_page_order [order].",
    )
    cpus: int = Field(
        default=1, ge=1, le=4096, description="CPUs that have per-CPU lists [CPUs]."
    )
    pages: int = Field(
        ge=1, description="Pages that the zone spans, reserved ones included [pages]."
    )
    kernel: str = Field(
        default="6.14",
        description="Kernel profile: frees, per-CPU lists, reserves [name].",
    )
    min_free_kbytes: int = Field(
        default=0,
        ge=0,
        le=INT_MAX,
        description="vm.min_free_kbytes; 0 lets the kernel compute it [KiB].",
    )
    watermark_boost_factor: int = Field(
        default=15_000,
        ge=0,
        le=INT_MAX,
        description="vm.watermark_boost_factor; 0: never [1/10000 of high].",
    )
    watermark_scale_factor: int = Field(
        default=10,
        ge=1,
        le=3000,
        description="vm.watermark_scale_factor [1/10000 of the zone].",
    )
    percpu_pagelist_high_fraction: int = Field(
        default=0,
        ge=0,
        le=INT_MAX,
        description="vm.percpu_pagelist_high_fraction; 0: none [1/zone].",
    )
    pcp_batch_scale_max: int = Field(
        default=5,
        ge=0,
        le=6,
        description="CONFIG_PCP_BATCH_SCALE_MAX, doublings of a batch [doublings].",
    )
    pcp_free_high_batch: bool = Field(
        default=False,
        description="Per-CPU lists keep a batch of high-order frees [yes/no].",
    )
    page_group_by_mobility_disabled: bool = Field(
        default=False,
        description="No grouping by mobility, as on tiny machines [yes/no].",
    )
    cma: bool = Field(
        default=False, description="The kernel is built with CONFIG_CMA [yes/no]."
    )
    cma_pageblocks: int = Field(
        default=0,
        ge=0,
        description="Size of the CMA area at the end of the zone [pageblocks].",
    )
    reserved: tuple[tuple[int, int], ...] = Field(
        default=(),
        validate_default=True,
        description="Never free: ascending (first, behind last) ranges [pfn].",
    )

    @field_validator("kernel")
    @classmethod
    def _kernel_exists(cls, value: str) -> str:
        return check_kernel(value)

    @field_validator("pageblock_order")
    @classmethod
    def _pageblock_fits(cls, value: int, info: ValidationInfo) -> int:
        largest = info.data.get("max_page_order", value)
        if value > largest:
            raise ValueError(f"must not exceed max_page_order, which is {largest}")
        return value

    @field_validator("pages")
    @classmethod
    def _links_reach(cls, value: int, info: ValidationInfo) -> int:
        if not {"start_pfn", "max_page_order", "cpus"} <= info.data.keys():
            return value
        start, big = info.data["start_pfn"], 1 << info.data["max_page_order"]
        span = -(-(start + value) // big) * big - start // big * big
        heads = ZONE_HEADS + CPU_HEADS * int(info.data["cpus"])
        if span + heads >= LINK_LIMIT:
            most = LINK_LIMIT - heads - 2 * big
            raise ValueError(f"a zone of this shape holds at most {most} pages")
        return value

    @field_validator("cma_pageblocks")
    @classmethod
    def _cma_fits(cls, value: int, info: ValidationInfo) -> int:
        if value and not info.data.get("cma", True):
            raise ValueError("a CMA area needs a kernel with CMA: set cma = true")
        area = cma_area(info.data, value)
        if area and area[0] < info.data["start_pfn"]:
            raise ValueError("the zone has fewer whole pageblocks than that")
        return value

    @field_validator("reserved")
    @classmethod
    def _reserved_fit(
        cls, value: tuple[tuple[int, int], ...], info: ValidationInfo
    ) -> tuple[tuple[int, int], ...]:
        if not {"start_pfn", "pages"} <= info.data.keys():
            return value
        start, end = zone_ends(info.data)
        behind = start
        for first, last in value:
            if not behind <= first < last <= end:
                raise ValueError(
                    f"({first}, {last}) must be an ascending range in [{behind}, {end})"
                )
            behind = last
        if sum(last - first for first, last in value) == end - start:
            raise ValueError("every page is reserved: leave at least one")
        cma = cma_area(info.data, info.data.get("cma_pageblocks", 0))
        if value and cma and value[-1][1] > cma[0]:
            raise ValueError(f"{value[-1]} overlaps the CMA area {cma}")
        return value


def zone_ends(values: dict[str, Any]) -> tuple[int, int]:
    """Return the first pfn of a zone and the one behind its last."""
    start, pages = int(values["start_pfn"]), int(values["pages"])
    return start, start + pages


def cma_area(values: dict[str, Any], pageblocks: int) -> tuple[int, int] | None:
    """Return the ends of the CMA area: the last whole pageblocks of the zone."""
    needed = {"start_pfn", "pages", "pageblock_order"}
    if not pageblocks or not needed <= values.keys():
        return None
    order = int(values["pageblock_order"])
    end = zone_ends(values)[1] >> order << order
    return end - (pageblocks << order), end


class StrategyConfig(Model):
    """A strategy and its parameters.

    Examples
    --------
    >>> StrategyConfig(name="remembered-fallback").params
    {}
    """

    name: str = Field(description="Name of an installed strategy [name].")
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Its parameters, by name [each in its own unit].",
    )
