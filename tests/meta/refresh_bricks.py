"""Write docs/bricks.md: what strategies are built of, from its docstrings.

python -m tests.meta.refresh_bricks
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from rmqueue.mm.jit import python_function
from rmqueue.mm.vmstat import COUNTERS
from tests.meta.sources import ROOT

PAGE = ROOT / "docs" / "bricks.md"

INTRODUCTION = """\
# Bricks

What a strategy is built of: all that those of `strategies/` use, and more. Made of the
docstrings by `python -m tests.meta.refresh_bricks`.

A strategy is asked when the free lists of `start_mt` are empty:
`fallback(zone, order, start_mt, flags, batch, st)`. It returns the page that a brick
took off a free list, or -1. Pages (`pfn`) are relative to the zone: page 0 is
`zone.base`. Numbers are 64-bit integers. `zone`, `batch` and `st` are records; a field
that does not exist is an error with file and line.

Parameters and state are fields of `st`, one record for each zone. State is declared in
the `Strategy`, each field with its name and numpy type, and is 0 when a zone is made:

```python
# by_order.py
from rmqueue import Strategy, Zone, ZoneConfig, strategy
from rmqueue.mm.fallback import rmqueue_steal


@strategy(jit=False)
def fallback(zone, order, start_mt, flags, batch, st):
    st.asked += 1
    st.by_order[order] += 1
    print(st.asked, st.by_order)
    return rmqueue_steal(zone, order, start_mt)


STATE = (("asked", "i8"), ("by_order", "(8,)i8"))
BY_ORDER = Strategy("by-order", "Steal, and count by order.", fallback, state=STATE)

zone = Zone(ZoneConfig(pages=4096, max_page_order=7, pageblock_order=7), BY_ORDER)
zone.alloc_bulk(0, 3000, "movable")
for order in (0, 2, 2):
    zone.alloc(order=order, migratetype="unmovable")
```

```text
1 [1 0 0 0 0 0 0 0]
2 [1 0 1 0 0 0 0 0]
3 [1 0 2 0 0 0 0 0]
```

`"i8"` is a number, `"f8"` one with a fraction, `"(8,)i8"` an array of eight numbers;
nobody checks its index (a zone has up to NR_ORDERS orders).

## What a batch remembers

`batch.mode` is RMQUEUE_NORMAL when a batch begins; a request for one block is a batch
of one. While it is, the engine takes from the lists of `start_mt` and asks the strategy
only when they have nothing. A strategy that sets another mode is asked for every
further page of the batch, and the lists of `start_mt` are not looked at. So:

- after a claim set RMQUEUE_NORMAL: the claimed pages are on the lists of `start_mt`;
- after a steal RMQUEUE_STEAL spares the next page the searches that failed for this
  one: begin with `if batch.mode != RMQUEUE_STEAL:` and the search for a claim;
- after a page of the CMA lists RMQUEUE_CMA;
- a strategy that never sets it remembers nothing.

The engine tells NORMAL from the rest, and no more: what the others mean is for the
strategy. A mode that stays set when a page cannot be found ends the batch with -1, even
if pages of `start_mt` are there. `rmqueue_strategies.remembered_fallback` is the
kernel's use.

## Counts

A brick counts the work that the kernel would have, so a strategy made of
bricks has honest counters; the last line of each, below, says what it may count. One
that moves pages itself counts what it does: `zone.cnt[CLAIM_TRY] += 1`,
`zone.steals[start_mt, mt] += 1`; `rmqueue check` compares these with lists and
pageblocks. `next_of`, `prev_of` and the reads of pages and pageblocks count nothing.

A walk of your own costs nothing in any table unless it counts: `HEAD` for each list
head that it looks at, `SCAN_PAGE` for each further block or page, and `SCAN_BLOCK` for
each pageblock whose pages it goes through.

## Mistakes

The bricks that search and take (those of `rmqueue.mm.fallback`, `rmqueue_smallest`,
`page_del_and_expand`) refuse an order or a migratetype that the zone does not have, and
what is no free block of that order: the zone stops, and the message says what it was.
The others trust their arguments, as the kernel does, and read or write whatever is
there. With `RMQUEUE_BOUNDSCHECK=1` every access
to a page's state is checked, and the first page outside the arrays of the zone is an
error that names the strategy: `RMQUEUE_BOUNDSCHECK=1 rmqueue check my-idea`.

A turn of a loop of your own is a step; one fallback may take 65,536 steps and 8 for
each page of the zone. What takes more is a loop that does not end: an error with its
line.
"""
WALK = """\
## Walk a free list

```python
# third_block.py
from rmqueue import Strategy, Zone, ZoneConfig
from rmqueue.mm.fallback import steal_block
from rmqueue.mm.jit import jit
from rmqueue.mm.mmzone import MOVABLE, free_list, next_of
from rmqueue.mm.vmstat import HEAD


@jit
def fallback(zone, order, start_mt, flags, batch, st):
    head = free_list(zone, order, MOVABLE)
    zone.cnt[HEAD] += 1
    at = next_of(zone, head)
    for _ in range(2):
        if at == head:
            return -1
        at = next_of(zone, at)
    if at == head or start_mt == MOVABLE:
        return -1
    return steal_block(zone, at, order, order, start_mt, MOVABLE)


THIRD = Strategy("third-block", "Steal the third block of a list.", fallback)

zone = Zone(ZoneConfig(pages=4096), THIRD)
for pfn in zone.alloc_bulk(0, 9, "movable")[::2]:
    zone.free(int(pfn))
print(zone.free_list(0, "movable"), zone.alloc(migratetype="unmovable"))
```

```text
[6 4 2 0] 2
```

A list ends at its head. The first block is the one that was freed last.
"""
DEBUG = """\
## Look inside

`@strategy(jit=False)` instead of `@jit` leaves a strategy Python, on the compiled
engine. `breakpoint()` and `print()` work in it, `zone`, `batch` and `st` are the
engine's own memory, and the bricks that it calls are compiled: pages and counters are
the same. What it prints goes to stdout, or to stderr while `--json -` or another report
is to have stdout.

```python
# talking.py
from rmqueue import Strategy, Zone, ZoneConfig, strategy
from rmqueue.mm.fallback import rmqueue_claim, rmqueue_steal


@strategy(jit=False)
def fallback(zone, order, start_mt, flags, batch, st):
    pfn = rmqueue_claim(zone, order, start_mt, flags)
    print(f"order {order} for type {start_mt}: claimed {pfn}, mode {batch.mode}")
    return pfn if pfn >= 0 else rmqueue_steal(zone, order, start_mt)


zone = Zone(ZoneConfig(pages=4096), Strategy("talking", "Talks.", fallback))
zone.alloc_bulk(0, 3000, "movable")
zone.alloc(order=2, migratetype="unmovable")
```

```text
order 2 for type 0: claimed 3072, mode 0
```

With the whole engine in Python, `NUMBA_DISABLE_JIT=1`, a debugger steps from a request
into a strategy and its bricks: `NUMBA_DISABLE_JIT=1 python -m pdb talking.py`.
"""
SECTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "Search, claim, steal": {
        "rmqueue.mm.fallback": (
            *("rmqueue_cma_fallback", "rmqueue_claim", "rmqueue_steal"),
            *("find_suitable_fallback", "should_try_claim_block", "lowest_order"),
            *("first_block", "try_to_claim_block", "worth_claiming", "steal_block"),
            "boost_watermark",
        ),
        "rmqueue.mm.buddy": (
            *("rmqueue_smallest", "page_del_and_expand", "expand"),
            "find_buddy_pfn",
        ),
    },
    "Lists": {
        "rmqueue.mm.mmzone": ("free_list", "next_of", "prev_of"),
        "rmqueue.mm.free_list": (
            *("list_first", "list_last", "move_to_free_list"),
            *("add_to_free_list", "del_page_from_free_list"),
        ),
    },
    "Pages and pageblocks": {
        "rmqueue.mm.mmzone": ("page_state", "pageblock_type", "pageblock_word"),
        "rmqueue.mm.pageblock": (
            *("free_pages_in", "free_blocks_in", "lru_pages_in"),
            *("pageblock_start", "may_scan_pageblock", "scans_rest"),
            *("rest_of_pageblock", "word_from", "move_free_blocks"),
            *("move_freepages_block", "set_pageblock_type", "change_pageblock_range"),
        ),
    },
    "By address": {"rmqueue.mm.address_order": ("lowest_block",)},
    "Per-CPU lists": {"rmqueue.mm.pcp": ("pcp_of",)},
}
#: What bricks may count.
COUNTED = {
    *(name.upper() for name in COUNTERS),
    *("zone.claims", "zone.steals", "zone.fallback_orders"),
}
CONSTANTS: dict[str, dict[str, str]] = {
    "rmqueue.mm.mmzone": {
        "UNMOVABLE, MOVABLE, RECLAIMABLE, HIGHATOMIC, CMA": "migratetypes",
        "RMQUEUE_NORMAL, RMQUEUE_CMA, RMQUEUE_CLAIM, RMQUEUE_STEAL": "`batch.mode`: "
        "what worked last in this batch; unless it is NORMAL, the engine does not look "
        "at the lists of `start_mt` again",
        "ALLOC_NOFRAGMENT": "bit of `flags`: never mix a pageblock",
        "ALLOC_CMA": "bit of `flags`: CMA pages will do",
        "ALLOC_HIGHATOMIC, ALLOC_NON_BLOCK, ALLOC_OOM": "bits of `flags`: who may use "
        "the reserve",
        "ALLOC_KSWAPD": "bit of `flags`: kswapd may be woken",
        "MAX_ORDER_LIMIT, NR_ORDERS": "largest order that a zone may have, and how "
        "many there are: the length of a field of `st` with an item for each",
        "PAGE_FREE, PAGE_PCP, PAGE_IN_USE, PAGE_LRU, PAGE_ORDER": "bits of "
        "`page_state`; only the first page of a free block has any, and its order in "
        "PAGE_ORDER",
    },
    "rmqueue.mm.fallback": {
        "NO_FALLBACK, NOT_CLAIMABLE": "results of `find_suitable_fallback`",
        "FALLBACKS": "types to fall back on, a pair for each of U, M and R",
    },
}
FIELDS: dict[str, dict[str, str]] = {
    "zone": {
        "start, end": "first page, and the page behind the last [pfn]",
        "base": "absolute pfn of page 0; a multiple of the largest block [pfn]",
        "managed, nr_free": "pages of the zone, and free ones [pages]",
        "nr_free_cma, nr_free_highatomic": "free ones of these types, as far as the "
        "kernel counts them [pages]",
        "max_order": "MAX_PAGE_ORDER",
        "pageblock_order, pageblock_pages": "order and size of a pageblock [pages]",
        "nr_types, cma": "migratetypes that are compiled in, and whether CMA is",
        "nr_area": "free blocks of each order, all types [blocks]",
        "wmark_min, wmark_low, wmark_high, boost": "watermarks, without the boost, and "
        "the boost [pages]",
        "mobility_off": "whether page_group_by_mobility_disabled is set",
        "cnt": "work counters by index: `zone.cnt[HEAD]`, see below",
        "claims, steals": "fallbacks by type asked for and type taken from",
        "fallback_orders": "fallbacks by order asked for and order found",
        "flags": "ZONE_BOOSTED_WATERMARK and others",
    },
    "batch": {
        "mode": "what worked last in this `rmqueue_bulk()`: yours to set",
        "cpu, wanted": "of a `refill`: the CPU, and the blocks that the kernel takes",
    },
    "st": {
        "": "the strategy's parameters, and the fields that it declares as `state`, "
        "which start at 0"
    },
}


def functions() -> Iterator[tuple[str, str, Any]]:
    """Section, module and function of every brick."""
    for section, modules in SECTIONS.items():
        for module, names in modules.items():
            for name in names:
                function = getattr(import_module(module), name)
                yield section, module, python_function(function)


def entry(module: str, function: Any) -> str:
    """A brick in markdown: signature, module, docstring."""
    parameters = ", ".join(inspect.signature(function).parameters)
    words = inspect.getdoc(function) or ""
    return (
        f"### {function.__name__}\n\n"
        f"```text\n{function.__name__}({parameters})    from {module}\n\n{words}\n```\n"
        f"\nCounts {code(', '.join(sorted(counted(function)))) or 'nothing'}.\n"
    )


def counted(function: Any, seen: frozenset[str] = frozenset()) -> set[str]:
    """What a brick adds to, itself or through those that it calls."""
    found, around = set[str](), inspect.getmodule(function)
    for node in ast.walk(ast.parse(inspect.getsource(function))):
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
            record = ast.unparse(node.target.value).removeprefix("zone.")
            index = ast.unparse(node.target.slice)
            found |= {index if record == "cnt" else f"zone.{record}"} & COUNTED
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            called = python_function(getattr(around, name, str))
            # without the JIT, fields are read by functions of no name
            known = inspect.isfunction(called) and called.__name__ == name
            if known and name not in seen:
                found |= counted(called, seen | {name})
    return found


def names_in(row: str) -> list[str]:
    """The names in the first column of a table."""
    return [name for name in row.split(", ") if name]


def code(row: str) -> str:
    """The names of a row, each in back-quotes."""
    return ", ".join(f"`{name}`" for name in names_in(row))


def tables() -> Iterator[str]:
    """Fields of the records, constants, counters."""
    yield "## Records\n"
    for record, rows in FIELDS.items():
        yield f"| `{record}` | |\n|---|---|"
        yield "\n".join(f"| {code(row)} | {words} |" for row, words in rows.items())
        yield ""
    yield "## Constants\n"
    yield "| name | from | is |\n|---|---|---|"
    for module, rows in CONSTANTS.items():
        for row, words in rows.items():
            yield f"| {code(row)} | `{module}` | {words} |"
    yield ""
    upper = ", ".join(f"`{name.upper()}`" for name in COUNTERS)
    yield f"Indices of `zone.cnt`, from `rmqueue.mm.vmstat`: {upper}."
    link = "[plugins/README.md](../plugins/README.md#what-can-be-counted)"
    yield f"{link} says what each counts.\n"


def page() -> str:
    """The whole page."""
    parts, section = [INTRODUCTION, *tables()], ""
    for title, module, function in functions():
        if title != section:
            section = title
            parts.append(f"## {title}\n")
        parts.append(entry(module, function))
    return "\n".join([*parts, WALK, DEBUG])


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
