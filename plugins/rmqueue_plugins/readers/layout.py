"""Which fields of which event are read, and the tables that tell the scanner so."""

from __future__ import annotations

import numpy as np

from rmqueue.trace.events import (
    ALLOC,
    BATCHED,
    COMPACT_BEGIN,
    COMPACT_END,
    DRAIN,
    EVENT_NAMES,
    FALLBACK,
    FREE,
    ISOLATE,
    LOCKED,
    MARK,
)
from rmqueue_plugins.readers.scan import (
    CLAIM,
    DECIMAL,
    FALLBACK_MT,
    FALLBACK_ORDER,
    FIELD_WORDS,
    GFP,
    HEXADECIMAL,
    KIND_WORDS,
    MOVABLE,
    MT,
    ORDER,
    PAGEBLOCK_ORDER,
    PFN,
    PRINT,
    RANGE,
    REFILL,
    TAKEN,
)

#: Key of a field, its form, the slot that takes its value, and the largest value: more
#: is not what the kernel writes there.
Field = tuple[str, int, int, int]

_MOST_ORDER, _MOST_TYPE = 13, 7
_PFN: Field = ("pfn", HEXADECIMAL, PFN, 1 << 52)
_ORDER: Field = ("order", DECIMAL, ORDER, _MOST_ORDER)
_MT: Field = ("migratetype", DECIMAL, MT, _MOST_TYPE)

#: The fields of each event that are needed, in the kernel's order.
LAYOUT: dict[int, tuple[Field, ...]] = {
    ALLOC: (_PFN, _ORDER, _MT, ("gfp_flags", GFP, MOVABLE, 1)),
    LOCKED: (_PFN, _ORDER, _MT, ("percpu_refill", DECIMAL, REFILL, 1)),
    FALLBACK: (
        _PFN,
        ("alloc_order", DECIMAL, ORDER, _MOST_ORDER),
        ("fallback_order", DECIMAL, FALLBACK_ORDER, _MOST_ORDER),
        ("pageblock_order", DECIMAL, PAGEBLOCK_ORDER, 32),
        ("alloc_migratetype", DECIMAL, MT, _MOST_TYPE),
        ("fallback_migratetype", DECIMAL, FALLBACK_MT, _MOST_TYPE),
        ("change_ownership", DECIMAL, CLAIM, 1),
    ),
    FREE: (_PFN, _ORDER),
    BATCHED: (_PFN, _ORDER),
    DRAIN: (_PFN, _ORDER, _MT),
    ISOLATE: (
        ("range", RANGE, PFN, 1 << 52),
        ("nr_taken", DECIMAL, TAKEN, 2**31 - 1),
    ),
    MARK: (),
    COMPACT_BEGIN: (),
    COMPACT_END: (),
}


def tables_for(
    words_at: int,
) -> tuple[bytes, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Words one after the other, and the records that say where they are.

    Parameters
    ----------
    words_at : int
        Where in the buffer of the text the words will be.
    """
    words = bytearray()

    def add(word: str) -> int:
        words.extend(word.encode())
        return words_at + len(words) - len(word)

    names = (*EVENT_NAMES, "print")
    header = [len(names), add("MOVABLE"), add("TRANSHUGE"), 0]
    kinds, fields = list(header), list[int]()
    base = KIND_WORDS * len(names)
    for kind in range(1, len(names)):
        layout = LAYOUT.get(kind, ())
        name = names[kind]
        kinds += [add(name), len(name), base + len(fields), len(layout)]
        for key, form, slot, limit in layout:
            fields += [add(key), len(key), form, slot, limit]
    assert names[PRINT] == "print"
    assert len(fields) % FIELD_WORDS == 0
    return bytes(words), np.array(kinds + fields, np.int64)
