"""What authors of strategies get wrong: one message each, with name, file and line.

Each case is the body of a fallback, or a whole module; the marked line, ``# here``, is
the one that the message must name.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rmqueue.binding import BoundStrategy
from rmqueue.check import run
from rmqueue.config import ZoneConfig
from rmqueue.errors import PluginError, StrategyError
from rmqueue.mm.jit import ENABLED
from rmqueue.registry import Registry
from rmqueue.types import Strategy
from rmqueue.zone import Zone
from tests.unit.authors import module_of

FALLBACK = "@jit\ndef fallback(zone, order, start_mt, flags, batch, st):\n"

#: Found before it runs, with and without the JIT.
AT_ONCE = {
    "a field of st": (
        "if st.cals > 3:  # here\n    return -1\nreturn -1",
        "st has no field 'cals': did you mean 'calls'?",
    ),
    "a new field of st": ("st.seen = 1  # here\nreturn -1", "st has no field 'seen'"),
    "a field of the zone": (
        "x = 1\nif zone.nr_fre < 10:  # here\n    return -1\n"
        "return rmqueue_steal(zone, 0, 1)",
        "zone has no field 'nr_fre': did you mean 'nr_free'?",
    ),
    "a field of the batch": (
        "batch.modus = 3  # here\nreturn -1",
        "batch has no field 'modus': did you mean 'mode'?",
    ),
    "a brick": (
        "return rmqueue_steel(zone, order, start_mt)  # here",
        "name 'rmqueue_steel' is not defined: did you mean 'rmqueue_steal'?",
    ),
    "a brick that is not imported": (
        "return steal_block(zone, 1, 1, 1, 1, 1)  # here",
        "name 'steal_block' is not defined",
    ),
    "too few arguments": (
        "return rmqueue_steal(zone, order)  # here",
        "rmqueue_steal(zone, order, start_mt) is called with other arguments",
    ),
    "an unknown keyword": (
        "return rmqueue_steal(zone, order, mt=start_mt)  # here",
        "rmqueue_steal(zone, order, start_mt) is called with other arguments",
    ),
    "a path without a return": (
        "if order > 3:  # here\n    return -1",
        "fallback() can end here without a return: return a page, or -1",
    ),
    "an empty return": ("return  # here", "returns nothing: return a page, or -1"),
    "None": ("return None  # here", "returns nothing: return a page, or -1"),
    "a parameter too few": (
        "@jit\ndef fallback(zone, order):  # decorated\n    return -1\n",
        "takes 2 parameters: it is called with 6, zone, order, start_mt, flags, batch",
    ),
    "a function that calls itself": (
        "@jit  # here\ndef fallback(zone, order, start_mt, flags, batch, st):\n"
        "    return fallback(zone, order, start_mt, flags, batch, st)\n",
        "fallback -> fallback calls itself: use a loop",
    ),
    "functions that call each other": (
        "@jit\ndef one(zone):\n    return other(zone)\n\n"
        "@jit\ndef other(zone):\n    return one(zone)\n\n"
        f"{FALLBACK}    return one(zone)\n",
        "calls itself: use a loop",
    ),
    "a mistake in a function that it calls": (
        "@jit\ndef inner(zone):\n    return zone.nr_fre  # here\n\n"
        f"{FALLBACK}    return inner(zone)\n",
        "zone has no field 'nr_fre': did you mean 'nr_free'?",
    ),
}

#: Found by the compiler; without the JIT they show, if at all, when it is asked.
BY_THE_COMPILER = {
    "a list in a sum": ("return order + [1]  # here", "No implementation of function"),
    "a text": ("return 'a page'", "returns Literal[str](a page): return a page"),
    "half a page": ("return order / 2", "returns float64: return a page, or -1"),
    "two results": (
        "return (order, -1)",
        "returns Tuple(int64, Literal[int](-1)): return",
    ),
    "a page or nothing": (
        "pfn = None\nif order > 3:\n    pfn = -1\nreturn pfn",
        "returns OptionalType(int64): return a page, or -1",
    ),
    "a path without a return in a function that it calls": (
        "@jit\ndef inner(zone, order):\n    if order > 3:  # here\n        return -1\n"
        f"\n{FALLBACK}    return inner(zone, order)\n",
        "inner() can end here without a return: return a number on every path",
    ),
    "an empty return in a function that it calls": (
        "@jit\ndef inner(zone, order):\n    if order > 3:\n        return  # here\n"
        f"    return -1\n\n{FALLBACK}    return inner(zone, order)\n",
        "inner() returns nothing here: return a number on every path",
    ),
    "no return in a function that it calls": (
        "@jit\ndef inner(zone, order):\n    zone.wakeups = order\n\n"
        f"{FALLBACK}    return inner(zone, order)  # here\n",
        "inner() returns nothing: return a number in it",
    ),
    "a field of a field": (
        "return zone.nr_free.real.foo  # here",
        "Unknown attribute 'foo'",
    ),
    "a function that is not compiled": (
        f"def inner():\n    return -1\n\n{FALLBACK}    return inner()  # here\n",
        "inner() is not compiled: put @jit of rmqueue.mm.jit above it",
    ),
    "a file": (
        "return len(open('x').read())  # here",
        "compiled code cannot call open()",
    ),
    "a global that is changed": (
        f"calls = 0\n\n{FALLBACK}    global calls  # here\n"
        "    calls += 1\n    return -1\n",
        "global calls: compiled code cannot change it: keep it in a field of 'state'",
    ),
}

#: Found while it runs: the zone stops.
RUNNING = {
    "an endless loop": (
        "pfn = -1\nwhile pfn < 0:  # here\n"
        "    pfn = rmqueue_claim(zone, 14, start_mt, flags)\nreturn pfn",
        "a loop that does not end",
    ),
    "an endless loop in a loop": (
        "for high in range(order, 3):\n    while high < 11:  # here\n"
        "        order += 1\n        st.calls = order\nreturn -1",
        "a loop that does not end",
    ),
    "an endless loop in a function that it calls": (
        "@jit\ndef inner(zone):\n    n = 0\n    while zone.nr_free:  # here\n"
        "        n += 1\n        zone.wakeups = n\n    return n\n\n"
        f"{FALLBACK}    return inner(zone)\n",
        "a loop that does not end",
    ),
    "a page that does not exist": (
        "return 1 << 40",
        "returned a page that does not exist: it returned pfn 1099511627776",
    ),
    "a negative page": ("return -2", "returned a page that does not exist"),
    "a page that is free": (
        "return zone.start",
        "returned a page that is still free or in use elsewhere: it returned pfn 0",
    ),
    "a page inside a free block": (
        "return zone.start + 3",
        "took other pages off the free lists than those of the block that it returned",
    ),
    "a page that a function that it calls made up": (
        "@jit\ndef inner(zone):\n    return zone.start + 3\n\n"
        f"{FALLBACK}    return inner(zone)\n",
        "line 8, or in what it calls, inner() in line 4: took other pages",
    ),
    "an index out of range in a function that it calls": (
        "@jit\ndef inner(zone, order):\n    return int(zone.nr_area[order + 14])\n\n"
        f"{FALLBACK}    return inner(zone, order)\n",
        "IndexError: index",
    ),
    "a block of another order": (
        "return rmqueue_steal(zone, order + 1, start_mt)",
        "it returned pfn 2 for order 0, and took 2 pages instead of 1",
    ),
    "a block with another order than it has": (
        "from rmqueue.mm.fallback import steal_block\n"
        "from rmqueue.mm.free_list import list_first\n"
        "from rmqueue.mm.mmzone import free_list\n\n"
        f"{FALLBACK}    at = list_first(zone, free_list(zone, 0, 1))\n"
        "    return steal_block(zone, at, 3, order, start_mt, 1)\n",
        "gave a brick a block that is not free, or not of that order: pfn 1, order 3",
    ),
    "a block that is not free": (
        "from rmqueue.mm.fallback import try_to_claim_block\n\n"
        f"{FALLBACK}    return try_to_claim_block(\n"
        "        zone, 0, 10, order, start_mt, 1, flags)\n",
        "gave a brick a block that is not free, or not of that order: pfn 0, order 10",
    ),
    "a block outside the zone": (
        "from rmqueue.mm.fallback import steal_block\n\n"
        f"{FALLBACK}    return steal_block(zone, 1 << 45, 0, order, start_mt, 1)\n",
        "gave a brick a block that is not free, or not of that order: pfn 35184372088",
    ),
    "an order that does not exist": (
        "return rmqueue_claim(zone, order - 1, start_mt, flags)",
        "gave a brick an order or a migratetype that does not exist: order -1, "
        "migratetype 0: the zone has orders 0 to 10 and migratetypes 0 to 3, unmovable",
    ),
    "an order that does not exist, of a steal": (
        "return rmqueue_steal(zone, order - 1, start_mt)",
        "gave a brick an order or a migratetype that does not exist: order -1, ",
    ),
    "a migratetype that does not exist": (
        "from rmqueue.mm.fallback import find_suitable_fallback, steal_block\n"
        "from rmqueue.mm.fallback import first_block\n\n"
        f"{FALLBACK}    mt = find_suitable_fallback(zone, 0, start_mt, False)\n"
        "    pfn = first_block(zone, 0, mt)\n"
        "    return steal_block(zone, pfn, 0, order, 7, mt)\n",
        "gave a brick an order or a migratetype that does not exist: order 0, "
        "migratetype 7: ",
    ),
    "a list that does not exist": (
        "from rmqueue.mm.buddy import rmqueue_smallest\n\n"
        f"{FALLBACK}    return rmqueue_smallest(zone, 99, 1)\n",
        "gave a brick an order or a migratetype that does not exist: order 99, ",
    ),
    "a page taken off that is not free": (
        "from rmqueue.mm.buddy import page_del_and_expand\n\n"
        f"{FALLBACK}    page_del_and_expand(zone, 0, order, 3, 0)\n    return 0\n",
        "gave a brick a block that is not free, or not of that order: pfn 0, order 3",
    ),
    "another page than it took": (
        "pfn = rmqueue_steal(zone, order, start_mt)\nreturn pfn ^ 64",
        "returned a page that is still free or in use elsewhere: it returned pfn 65",
    ),
    "a page that it took and forgot": (
        "rmqueue_steal(zone, order, start_mt)\nreturn -1",
        "it returned -1 for order 0, and took 1 pages instead of 0",
    ),
    "two pages at once": (
        "rmqueue_steal(zone, order, start_mt)\n"
        "return rmqueue_steal(zone, order, start_mt)",
        "it returned pfn 2 for order 0, and took 2 pages instead of 1",
    ),
    "an exception": (
        "if order == 0:\n    raise ValueError('no page')  # here\nreturn -1",
        "ValueError: no page: return -1 where there is no page",
    ),
    "an assertion": (
        "assert order > 0, 'too small'  # here\nreturn -1",
        "AssertionError: too small",
    ),
    "an index out of range": (
        "return int(zone.nr_area[order + 14])",
        "IndexError: index",
    ),
}


def author(folder: Path, text: str) -> tuple[Strategy, int]:
    """The strategy of a case, and the line that it marks; 0 if it marks none."""
    if "def fallback" not in text:
        text = FALLBACK + "".join(f"    {line}\n" for line in text.splitlines())
    module = module_of(folder, text)
    assert module.__file__ is not None
    lines = Path(module.__file__).read_text().splitlines()
    marked = [n for n, line in enumerate(lines, 1) if line.endswith("# here")]
    state = (("calls", "i8"),)
    strategy = Strategy("mine", "Mine.", module.fallback, state=state)
    return strategy, marked[0] if marked else 0


def judge(message: str, strategy: Strategy, line: int, words: str) -> None:
    assert message.startswith("strategy 'mine'")
    place = f"{strategy.fallback.__module__}.py, line {line or ''}"
    assert place in message
    assert words in message
    assert len(message.splitlines()) <= 2
    assert len(message) < 600
    assert "rmqueue/mm" not in message


@pytest.mark.parametrize("case", AT_ONCE)
def test_mistakes_that_are_found_at_once(tmp_path: Path, case: str) -> None:
    text, words = AT_ONCE[case]
    strategy, line = author(tmp_path, text)
    with pytest.raises(PluginError) as caught:
        BoundStrategy(strategy, "7.3")
    judge(str(caught.value), strategy, line, words)
    assert caught.value.exit_status == 3


@pytest.mark.skipif(not ENABLED, reason="nothing is compiled")
@pytest.mark.parametrize("case", BY_THE_COMPILER)
def test_mistakes_that_the_compiler_finds(tmp_path: Path, case: str) -> None:
    text, words = BY_THE_COMPILER[case]
    strategy, line = author(tmp_path, text)
    with pytest.raises(PluginError) as caught:
        BoundStrategy(strategy, "7.3")
    judge(str(caught.value), strategy, line, words)


@pytest.mark.parametrize("case", RUNNING)
def test_mistakes_that_stop_the_zone(tmp_path: Path, case: str) -> None:
    if not ENABLED and "endless" in case:
        pytest.skip("without the JIT Ctrl-C ends a loop, and a debugger shows it")
    text, words = RUNNING[case]
    strategy, line = author(tmp_path, text)
    zone = Zone(ZoneConfig(pages=2048, kernel="7.3"), strategy)
    zone.alloc(0, "movable")
    with pytest.raises(StrategyError) as caught:
        zone.alloc(0, "unmovable")
    judge(str(caught.value), strategy, line, words)
    with pytest.raises(StrategyError, match="takes no further requests"):
        zone.alloc(0, "movable")
    assert caught.value.exit_status == 3


@pytest.mark.skipif(not ENABLED, reason="nothing is compiled")
def test_a_helper_may_return_none_to_who_looks_for_it(tmp_path: Path) -> None:
    text = (
        "@jit\ndef inner(zone, order):\n    if order > 3:\n        return None\n"
        f"    return rmqueue_steal(zone, order, 0)\n\n{FALLBACK}"
        "    pfn = inner(zone, order)\n    if pfn is None:\n        return -1\n"
        "    return int(pfn)\n"
    )
    BoundStrategy(author(tmp_path, text)[0], "7.3")


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("limit: int = 'many'", "default of limit: should be a valid integer"),
        ("limit: int = 2.5", "default of limit: should be a valid integer"),
        ("limit: int = Field(0, ge=1)", "default of limit: should be greater than or"),
        ("limit: str = 'many'", "parameter 'limit' is of type <class 'str'>: compiled"),
        ("limit: int = 1 << 70", f"parameter 'limit' is {1 << 70}: "),
    ],
)
def test_a_wrong_parameter_is_told_at_its_line(
    tmp_path: Path, field: str, words: str
) -> None:
    text = (
        "from pydantic import BaseModel, Field\n\n\nclass Parameters(BaseModel):\n"
        f"    other: int = 1\n    {field}  # here\n\n\n{FALLBACK}    return st.limit\n"
    )
    strategy, line = author(tmp_path, text)
    module = sys.modules[strategy.fallback.__module__]
    strategy = replace(strategy, parameters=module.Parameters)
    with pytest.raises(PluginError) as caught:
        BoundStrategy(strategy, "7.3")
    judge(str(caught.value), strategy, line, words)


def test_there_are_enough() -> None:
    assert len(AT_ONCE) + len(BY_THE_COMPILER) + len(RUNNING) >= 20


def test_a_search_of_every_page_is_no_endless_loop(tmp_path: Path) -> None:
    """Each fallback has steps of its own."""
    text = (
        "seen = 0\nfor pfn in range(zone.start, zone.end):\n    seen += pfn\n"
        "st.calls += 1\nreturn -1 if seen < 0 else rmqueue_steal(zone, 0, start_mt)"
    )
    strategy, _ = author(tmp_path, text)
    zone = Zone(ZoneConfig(pages=70_000, kernel="7.3"), strategy)
    zone.alloc_bulk(0, 40_000, "movable")
    assert len(zone.alloc_bulk(0, 50, "unmovable")) == 50
    assert int(zone._bound.state["calls"][0]) == 50
    zone.check()


@pytest.mark.skipif(not ENABLED, reason="only compiled code counts its steps")
def test_a_loop_that_does_not_end_is_told_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from rmqueue.hookspecs import hookimpl\nfrom rmqueue.mm.jit import jit\n"
        "from rmqueue.types import Strategy\n\n\n@jit\n"
        "def fallback(zone, order, start_mt, flags, batch, st):\n"
        "    while order >= 0:\n        zone.wakeups += 1\n    return -1\n\n\n"
        "@hookimpl\ndef rmqueue_strategies():\n"
        "    return [Strategy('mine', 'Looks on.', fallback)]\n"
    )
    registry = Registry()
    registry.add_file(path)
    with pytest.raises(PluginError, match=r"'mine': \d+ of \d+ checks failed$"):
        run("mine", registry)
    printed = capsys.readouterr().out
    assert f"    strategy 'mine': {path}, line 8: a loop that does not end" in printed
    assert printed.count("\n    strategy 'mine': ") == 1
    assert printed.count(": as above\n") > 5
