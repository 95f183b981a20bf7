"""Records without the JIT: the same memory, read and written by plain Python."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np


class PlainRecord:
    """A record without the JIT: fields are attributes, and Python's own integers.

    Not numpy's record: there `base` and `flags` are numpy's own, and every look-up of a
    field passes through an exception.
    """

    __slots__ = ("_address", "_dtype", "_fields", "_words")

    def __init__(self, address: int, dtype: np.dtype[Any]) -> None:
        self._address, self._dtype = address, dtype
        size = dtype.itemsize
        memory: Any = (ctypes.c_uint8 * size).from_address(address)
        self._words = memoryview(memory).cast("B")[: size - size % 8].cast("q")
        record = np.frombuffer(memory, dtype).reshape(())
        self._fields = {name: record[name] for name in dtype.names or ()}

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


def plain_view(dtype: np.dtype[Any]) -> Any:
    """Make ``view(address) -> record`` without the JIT."""
    own = {name: plain_field(dtype, name) for name in dtype.names or ()}
    layout = type("PlainRecord", (PlainRecord,), {"__slots__": (), **own})
    records: dict[int, Any] = {}

    def view(address: int) -> Any:
        if address not in records:
            if len(records) > 4096:
                records.clear()
            records[address] = layout(int(address), dtype)
        return records[address]

    return view


def plain_field(dtype: np.dtype[Any], name: str) -> property:
    """Make the attribute of one field."""
    assert dtype.fields is not None
    kind, offset = dtype.fields[name][:2]
    if kind == np.int64 and offset % 8 == 0:
        word = offset // 8

        def store_word(record: Any, value: int) -> None:
            record._words[word] = int(value)

        return property(lambda record: record._words[word], store_word)

    def store(record: Any, value: Any) -> None:
        record._fields[name][...] = value

    if kind.subdtype is None:  # of a narrow field, numpy's integers would overflow
        return property(lambda record: int(record._fields[name][()]), store)
    return property(lambda record: record._fields[name], store)
