"""What the texts of /proc in a recording folder say together of a moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rmqueue.errors import TraceError
from rmqueue.trace.events import Ints
from rmqueue.types import ZoneCounts
from rmqueue_plugins.readers.clues import NR_TYPES
from rmqueue_plugins.readers.folder import COUNTS, need
from rmqueue_plugins.readers.procinfo import (
    PageTypes,
    ZoneInfo,
    ZoneKey,
    read_buddyinfo,
    read_pagetypeinfo,
    read_zoneinfo,
)
from rmqueue_plugins.readers.state import ISOLATED, MOVABLE


@dataclass(frozen=True, eq=False)
class Counts:
    """What the three texts say together at one moment.

    Attributes
    ----------
    zones : tuple of ZoneInfo
        Zones with pages.
    types : PageTypes
        Free blocks and pageblocks.
    free : mapping of ZoneKey to ndarray of int64, shape (orders, 5)
        Free blocks by our types, without isolated ones.
    noted : Counter of str
        What did not fit.
    """

    zones: tuple[ZoneInfo, ...]
    types: PageTypes
    free: Mapping[ZoneKey, Ints]
    noted: Counter[str]

    def pageblocks(self, key: ZoneKey) -> Ints:
        """Pageblocks of a zone by our types; isolated ones count as movable."""
        kinds = [MOVABLE if mt == ISOLATED else mt for mt in self.types.types]
        counts: Ints = np.bincount(
            kinds, self.types.pageblocks[key], minlength=NR_TYPES
        ).astype(np.int64)
        return counts

    def name(self, zone: ZoneInfo) -> str:
        """Name of a zone, with its node where several have it."""
        alike = [other for other in self.zones if other.name == zone.name]
        return zone.name if len(alike) == 1 else f"{zone.name}-{zone.node}"


def read_counts(folder: Path, when: str) -> Counts:
    """Read the three texts of ``"start"`` or ``"end"``.

    Raises
    ------
    TraceError
        One is missing or damaged, or they contradict each other.
    """
    zoneinfo, buddyinfo, pagetypeinfo = (
        need(folder, (f"{when}-{name}.txt",)) for name in COUNTS
    )
    zones, buddies = read_zoneinfo(zoneinfo), read_buddyinfo(buddyinfo)
    types = read_pagetypeinfo(pagetypeinfo)
    keys = {zone.key for zone in zones}
    for path, found in ((buddyinfo, buddies.keys()), (pagetypeinfo, types.free.keys())):
        if found != keys:
            odd = sorted(found ^ keys)[0]
            raise TraceError(
                f"{path}: zone {odd[1]} of node {odd[0]} is in only one of this file "
                f"and {zoneinfo.name}: they are of different recordings"
            )
    noted: Counter[str] = Counter()
    free = {}
    for zone in zones:
        free[zone.key] = _free(types, zone.key, buddies[zone.key], buddyinfo, noted)
        pages = int((1 << np.arange(len(free[zone.key]))) @ free[zone.key].sum(axis=1))
        if pages > zone.fields["managed"]:
            raise TraceError(
                f"{pagetypeinfo}: {pages:,} free pages in zone {zone.name}, which has "
                f"{zone.fields['managed']:,} by line {zone.line} of {zoneinfo.name}: "
                "they are of different recordings"
            )
    return Counts(zones, types, free, noted)


def _free(
    types: PageTypes, key: ZoneKey, buddies: Ints, path: Path, noted: Counter[str]
) -> Ints:
    """Free blocks of a zone by our types; what was cut off is taken from buddyinfo."""
    counts, capped = types.free[key].copy(), types.capped[key]
    if len(buddies) != len(counts):
        raise TraceError(
            f"{path}: {len(buddies)} orders in zone {key[1]}, and {len(counts)} in "
            "pagetypeinfo: they are of different recordings"
        )
    for order in np.flatnonzero(capped.any(axis=1)).tolist():
        more = max(int(buddies[order] - counts[order].sum()), 0)
        where = np.flatnonzero(capped[order])
        counts[order, where] += more // len(where)
        counts[order, where[0]] += more % len(where)
        noted["capped"] += len(where)
    apart = np.abs(buddies - counts.sum(axis=1))
    noted["apart"] += int((1 << np.arange(len(counts))) @ apart)
    free = np.zeros((len(counts), NR_TYPES), np.int64)
    for kernels, ours in enumerate(types.types):
        if ours != ISOLATED:
            free[:, ours] += counts[:, kernels]
    return free


def read_end_counts(folder: Path) -> tuple[ZoneCounts, ...]:
    """Free blocks and pageblocks at the end; raises as `read_counts`."""
    counts = read_counts(folder, "end")
    return tuple(
        ZoneCounts(
            counts.name(zone), counts.free[zone.key], counts.pageblocks(zone.key)
        )
        for zone in counts.zones
    )
