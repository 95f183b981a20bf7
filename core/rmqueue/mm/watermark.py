"""Watermarks of a zone (SEMANTICS 10)."""

from __future__ import annotations

from typing import Any

from rmqueue.mm.jit import jit


@jit(forceinline=True)
def clamp(value: int, low: int, high: int) -> int:
    """`value` within limits; the upper one wins."""
    return min(max(value, low), high)


@jit
def integer_sqrt(value: int) -> int:
    """Square root rounded down (int_sqrt)."""
    root = 0
    bit = 1 << 31
    while bit > 0:
        if (root + bit) * (root + bit) <= value:
            root += bit
        bit >>= 1
    return root


@jit
def setup_per_zone_wmarks(zone: Any, configured_kbytes: int) -> None:
    """Compute min, low, high and promo watermarks (setup_per_zone_wmarks).

    `configured_kbytes` is min_free_kbytes [KiB], 0 to let the kernel's rule decide.
    """
    managed, scale = zone.managed, zone.scale_factor
    kbytes = configured_kbytes
    if kbytes == 0:
        kbytes = clamp(integer_sqrt(managed * 4 * 16), 128, 262144)
    step = (managed // 10000) * scale + (managed % 10000) * scale // 10000
    step = max(kbytes // 4 // 4, step)
    zone.min_free_kbytes = kbytes
    zone.wmark_min = kbytes // 4
    zone.wmark_low = zone.wmark_min + step
    zone.wmark_high = zone.wmark_low + step
    zone.wmark_promo = zone.wmark_high + step
    zone.boost = 0


@jit
def zone_watermark_ok(zone: Any, mark: int) -> bool:
    """Whether an order-0 request without special rights finds the zone above a mark."""
    reserve = zone.nr_reserved_highatomic
    if zone.counts_free_highatomic != 0:
        reserve = zone.nr_free_highatomic
    return bool(zone.nr_free - reserve - zone.nr_free_cma * zone.cma > mark)
