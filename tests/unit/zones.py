"""Small things that many unit tests need: zones, their hashes, the variants."""

from __future__ import annotations

from typing import Any

from rmqueue.config import ZoneConfig
from rmqueue.ops import CHECK
from rmqueue.testing.golden import VARIANTS
from rmqueue.zone import Zone


def zone_of(
    pages: int = 2048, strategy: str = "remembered-fallback", **fields: Any
) -> Zone:
    """A booted zone."""
    return Zone(ZoneConfig(pages=pages, **fields), strategy)


def variant_zone(variant: str, pages: int, **fields: Any) -> Zone:
    """A booted zone of one of the five kernel states."""
    kernel, strategy = VARIANTS[variant]
    return zone_of(pages, strategy, kernel=kernel, **fields)


def hashes(zone: Zone) -> list[int]:
    """Hashes of free lists, pageblock types and per-CPU lists."""
    return [int(h) for h in zone.replay_checked([(CHECK, 0, 0, 0)]).hashes[0]]


def lists(zone: Zone, migratetype: str) -> dict[int, list[int]]:
    """Free lists of a type that are not empty, by order."""
    orders = range(zone.config.max_page_order + 1)
    found = {order: zone.free_list(order, migratetype).tolist() for order in orders}
    return {order: pages for order, pages in found.items() if pages}
