"""What crosses between Python and compiled code: addresses, and whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import errors
from numba.extending import intrinsic

from rmqueue.mm.jit import ENABLED, I64


def _make_address_of() -> Any:
    if not ENABLED:
        return lambda record: record._address

    @intrinsic  # type: ignore[untyped-decorator]
    def address_of(typingctx: Any, record: Any) -> Any:
        """Address of a record."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.ptrtoint(args[0], ir.IntType(64))

        return I64(record), codegen

    return address_of


address_of = _make_address_of()


def plain_whole(value: Any) -> int:
    """Take a whole number as it is, from Python."""
    if not isinstance(value, (int, np.integer)):
        raise TypeError(f"returned {value!r}: return a page, or -1, a whole number")
    return int(value)


def _make_whole() -> Any:
    if not ENABLED:
        return plain_whole

    @intrinsic  # type: ignore[untyped-decorator]
    def whole(typingctx: Any, value: Any) -> Any:
        """Take a whole number as it is; the compiler complains of anything else."""
        if not isinstance(value, (types.Integer, types.Boolean)):
            raise errors.TypingError(f"returns {value}, not a whole number")

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return context.cast(builder, args[0], value, I64)

        return I64(value), codegen

    return whole


whole = _make_whole()
