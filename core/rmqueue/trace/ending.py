"""How the model's free lists differ from the recorded ones at the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rmqueue.trace.twin import TwinZone, recorded_lists
from rmqueue.types import ZoneState


@dataclass(frozen=True)
class Ending:
    """The end of a recording, model against kernel.

    Attributes
    ----------
    lists, equal : int
        Free lists that are not empty, and those that are equal block by block, in
        order.
    missing, extra : int
        Blocks that the kernel has on a list and the model has not, and the other way
        round.
    types : int
        Pageblocks of another migratetype.
    """

    lists: int
    equal: int
    missing: int
    extra: int
    types: int


def compare_end(zones: Iterable[TwinZone], end: tuple[ZoneState, ...]) -> Ending | None:
    """Compare the model with the recorded end; None if that is not recorded."""
    if not end:
        return None
    lists = equal = missing = extra = types = 0
    for zone, state in zip(zones, end, strict=True):
        model, kernel = zone.free_lists(), recorded_lists(state)
        for key in model.keys() | kernel.keys():
            given, wanted = model.get(key, []), kernel.get(key, [])
            lists += 1
            equal += given == wanted
            missing += len(set(wanted) - set(given))
            extra += len(set(given) - set(wanted))
        types += int((zone.pageblock_types() != state.pageblock_types).sum())
    return Ending(lists, equal, missing, extra, types)
