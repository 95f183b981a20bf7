"""Texts of /proc that count free pages: zoneinfo, buddyinfo, pagetypeinfo."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from rmqueue.errors import TraceError
from rmqueue.trace.events import Bools, Ints
from rmqueue_plugins.readers.files import read_text
from rmqueue_plugins.readers.state import TYPE_NAMES

#: A node, and the name of one of its zones.
ZoneKey = tuple[int, str]

_ZONE = re.compile(r"Node\s+(\d+), zone\s+([^\s,]+)(.*)")
_ZONE_LINE = "'Node 0, zone Normal'"
#: What zoneinfo must say of a zone with pages.
_NEEDED = ("min", "low", "high", "spanned", "managed", "start_pfn")
_FIELD = re.compile(r"\s+(pages free|[a-z_]+):?\s+(\d+)\s*")
#: The largest number that a text may hold, far above any machine's.
_MOST = 1 << 52
#: Largest order of a block that the simulator knows.
_MOST_ORDER = 13


@dataclass(frozen=True)
class ZoneInfo:
    """What zoneinfo says of a zone.

    Attributes
    ----------
    node : int
        Its node.
    name : str
        As the kernel calls it.
    fields : mapping of str to int
        Numbers by the kernel's names, ``start_pfn`` among them [pages].
    pagesets : tuple of mapping of str to int
        Per-CPU lists: ``count``, ``high``, ``batch`` and what else is printed [pages].
    line : int
        Line where it begins.
    """

    node: int
    name: str
    fields: Mapping[str, int]
    pagesets: tuple[Mapping[str, int], ...]
    line: int

    @property
    def key(self) -> ZoneKey:
        """Node and name."""
        return self.node, self.name


@dataclass(frozen=True, eq=False)
class PageTypes:
    """What pagetypeinfo says.

    Attributes
    ----------
    pageblock_order : int
        Order of a pageblock.
    types : tuple of int
        Our number of each of the kernel's migratetypes; -1 is isolation.
    free : mapping of ZoneKey to ndarray of int64, shape (orders, types)
        Free blocks, by the kernel's types.
    capped : mapping of ZoneKey to ndarray of bool, shape (orders, types)
        Counts at which the kernel stopped counting.
    pageblocks : mapping of ZoneKey to ndarray of int64, shape (types,)
        Pageblocks.
    """

    pageblock_order: int
    types: tuple[int, ...]
    free: Mapping[ZoneKey, Ints]
    capped: Mapping[ZoneKey, Bools]
    pageblocks: Mapping[ZoneKey, Ints]


@dataclass(eq=False)
class _Lines:
    """Lines of a text, and where we are."""

    path: Path
    number: int = 0
    text: str = ""
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lines = read_text(self.path).decode("utf-8", "replace").splitlines()

    def __iter__(self) -> Iterator[str]:
        for text in self.lines:
            self.number, self.text = self.number + 1, text
            yield text

    def refuse(self, expected: str, number: int | None = None) -> NoReturn:
        """Refuse the text at this line."""
        found = f"{self.text.strip()!r:.60}" if number is None else "none"
        raise TraceError(
            f"{self.path}: line {number or self.number}: expected {expected}, found "
            f"{found}: the file is cut off or of another format: record again"
        )

    def zone(self) -> tuple[ZoneKey, str] | None:
        """Return the zone that the line is about, and the rest of the line."""
        match = _ZONE.fullmatch(self.text.rstrip())
        return ((int(match[1]), match[2]), match[3]) if match else None

    def numbers(self, words: list[str], count: int, what: str) -> list[int]:
        """Read the rest of a line: so many whole numbers."""
        good = len(words) == count and all(word.isdecimal() for word in words)
        if not good or any(int(word) >= _MOST for word in words):
            self.refuse(f"{count} {what}")
        return [int(word) for word in words]


def read_zoneinfo(path: Path) -> tuple[ZoneInfo, ...]:
    """Read zoneinfo: the zones with pages.

    Raises
    ------
    TraceError
        The file is missing, cut off, or something else.
    """
    lines, zones = _Lines(path), []
    fields: dict[str, int] = {}
    sets: list[dict[str, int]] = []
    for text in lines:
        zone = lines.zone()
        if zone is not None:
            fields, sets = {}, []
            zones.append((*zone[0], fields, sets, lines.number))
        elif text.startswith("Node"):
            lines.refuse(_ZONE_LINE)
        elif match := _FIELD.fullmatch(text):
            if int(match[2]) >= _MOST:
                lines.refuse("a number of pages")
            _store(fields, sets, match[1], int(match[2]))
    found = [ZoneInfo(n, name, f, tuple(s), at) for n, name, f, s, at in zones]
    found = [zone for zone in found if zone.fields.get("spanned") != 0]
    if not found:
        lines.refuse(f"{_ZONE_LINE} and what follows it, of a zone with pages")
    for info in found:
        missing = [name for name in _NEEDED if name not in info.fields]
        if missing:
            lines.refuse(f"{missing[0]!r} in the zone that begins here", info.line)
    return tuple(found)


def _store(
    fields: dict[str, int], sets: list[dict[str, int]], name: str, n: int
) -> None:
    """Keep a number where it belongs: with the zone, or with the CPU named last."""
    if name == "cpu":
        sets.append({})
    elif sets and name in ("count", "high", "batch", "high_min", "high_max"):
        sets[-1][name] = n
    else:
        fields.setdefault(name, n)


def read_buddyinfo(path: Path) -> Mapping[ZoneKey, Ints]:
    """Read buddyinfo: free blocks by zone and order; raises as `read_zoneinfo`."""
    lines, found = _Lines(path), {}
    orders = 0
    for text in lines:
        zone = lines.zone()
        if zone is None and text.strip():
            lines.refuse(f"{_ZONE_LINE} and counts")
        if zone is not None:
            words = zone[1].split()
            orders = orders or max(len(words), 1)
            counts = lines.numbers(words, orders, "counts of free blocks")
            found[zone[0]] = np.array(counts, np.int64)
    if not found:
        lines.refuse(f"{_ZONE_LINE} and counts")
    return found


def read_pagetypeinfo(path: Path) -> PageTypes:
    """Read pagetypeinfo: free blocks and pageblocks; raises as `read_zoneinfo`."""
    return _PageTypesText(path).read()


class _PageTypesText:
    """Reads pagetypeinfo, one part after the other."""

    def __init__(self, path: Path) -> None:
        self.lines = _Lines(path)
        self.order, self.orders = -1, 0
        self.names: list[str] = []
        self.rows: dict[ZoneKey, list[tuple[str, list[str], int]]] = {}
        self.pageblocks: dict[ZoneKey, Ints] = {}

    def read(self) -> PageTypes:
        part = ""
        for text in self.lines:
            if text.startswith("Page block order:"):
                self._order(text.partition(":")[2].strip())
            elif text.startswith("Free pages count per migrate type at order"):
                part = "free"
                self._orders(text.partition("at order")[2].split())
            elif text.startswith("Number of"):
                part = "pageblocks" if " blocks type" in text else "other"
                self._types(text.partition(" type")[2].split(), part)
            elif (zone := self.lines.zone()) is not None and part:
                if part == "free":
                    self._free(*zone)
                elif part == "pageblocks":
                    self._blocks(*zone)
            elif text.strip() and not text.startswith("Pages per block:"):
                self.lines.refuse("a line of pagetypeinfo")
        return self._result()

    def _order(self, word: str) -> None:
        if not word.isdecimal() or int(word) > _MOST_ORDER:
            self.lines.refuse("'Page block order:' and a number")
        self.order = int(word)

    def _orders(self, words: list[str]) -> None:
        if words != [str(order) for order in range(len(words))] or not words:
            self.lines.refuse("the orders from 0 up")
        if len(words) > _MOST_ORDER + 1:
            self.lines.refuse(f"at most {_MOST_ORDER + 1} orders")
        self.orders = len(words)

    def _types(self, words: list[str], part: str) -> None:
        if part == "pageblocks":
            self.names = words
            if not words or not set(words) <= TYPE_NAMES.keys():
                self.lines.refuse(f"the types {', '.join(TYPE_NAMES)}")

    def _free(self, key: ZoneKey, rest: str) -> None:
        match = re.fullmatch(r", type +(\S+) +(\S.*)", rest.rstrip())
        if match is None or match[1] not in TYPE_NAMES:
            self.lines.refuse("'type', one of the kernel's migratetypes, and counts")
        words = re.sub(r">\s+", ">", match[2]).split()
        plain = [word.removeprefix(">") for word in words]
        self.lines.numbers(plain, self.orders, "counts of free blocks")
        self.rows.setdefault(key, []).append((match[1], words, self.lines.number))

    def _blocks(self, key: ZoneKey, rest: str) -> None:
        counts = self.lines.numbers(rest.split(), len(self.names), "pageblock counts")
        self.pageblocks[key] = np.array(counts, np.int64)

    def _result(self) -> PageTypes:
        if self.order < 0 or not self.rows or not self.pageblocks:
            self.lines.text = "the end of the file"
            self.lines.refuse(
                "'Page block order:', the free pages and the number of blocks by type"
            )
        free, capped = {}, {}
        for key, rows in self.rows.items():
            if [name for name, *_ in rows] != self.names:
                self.lines.refuse(
                    f"a row of each of {', '.join(self.names)}", rows[0][2]
                )
            table = [words for _, words, _ in rows]
            capped[key] = np.array([[w[0] == ">" for w in row] for row in table]).T
            counts = [[int(w.removeprefix(">")) for w in row] for row in table]
            free[key] = np.array(counts, np.int64).T
        if free.keys() != self.pageblocks.keys():
            self.lines.refuse("the same zones in both parts")
        types = tuple(TYPE_NAMES[name] for name in self.names)
        return PageTypes(self.order, types, free, capped, self.pageblocks)
