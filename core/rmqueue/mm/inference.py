"""Type inference that does not ask twice what an operator makes of two numbers."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core.typing.context import Context

#: What arithmetic is done with.
NUMBERS = (types.Number, types.Boolean, types.Literal)
#: (function, types of its arguments) -> signature.
_known: dict[tuple[Any, tuple[Any, ...]], Any] = {}


class RememberingContext(Context):  # type: ignore[misc]
    """A typing context that keeps the signatures of functions of numbers.

    numba tries its templates one by one at every ``+`` and ``<``, and that again in
    every turn of the inference: a fifteenth of a cold start.  All else is shared with
    the context that this stands for; to numba's own caches the two are the same.
    """

    __slots__ = ("_whole",)

    def __init__(self, whole: Context) -> None:
        object.__setattr__(self, "__dict__", whole.__dict__)
        self._whole = whole

    def __hash__(self) -> int:
        return hash(self._whole)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RememberingContext):
            other = other._whole
        return self._whole is other

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        """Signature of a function for the types of its arguments."""
        numbers = isinstance(func, types.Function) and not kws
        if not (numbers and all(isinstance(a, NUMBERS) for a in args)):
            return super().resolve_function_type(func, args, kws)
        key = func, tuple(args)
        found = _known.get(key)
        if found is None:
            found = _known[key] = super().resolve_function_type(func, args, kws)
        return found
