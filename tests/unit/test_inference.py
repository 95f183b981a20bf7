"""What type inference remembers."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from numba import types
from numba.core.registry import cpu_target
from numba.core.typing.context import Context

from rmqueue.mm.inference import RememberingContext

WHOLE = cpu_target.typing_context
PAIRS = [
    (types.int64, types.int64),
    (types.int64, types.boolean),
    (types.uint64, types.float64),
    (types.literal(3), types.int64),
]


@pytest.mark.parametrize("args", PAIRS, ids=str)
def test_a_signature_is_what_numba_would_find(args: Any) -> None:
    """Also where it is asked for again, and by another compiler."""
    WHOLE.refresh()
    add = WHOLE.resolve_value_type(operator.add)
    wanted = WHOLE.resolve_function_type(add, args, {})
    for _ in range(2):
        assert RememberingContext(WHOLE).resolve_function_type(add, args, {}) == wanted


def test_numba_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of functions of numbers; what else there is may change."""
    asked = []

    def resolve(self: Any, func: Any, args: Any, kws: Any) -> Any:
        asked.append(args)
        return len(asked)

    monkeypatch.setattr("rmqueue.mm.inference._known", {})
    monkeypatch.setattr(Context, "resolve_function_type", resolve)
    context = RememberingContext(WHOLE)
    add = WHOLE.resolve_value_type(operator.add)
    numbers = (types.int64, types.int64)
    assert [context.resolve_function_type(add, numbers, {}) for _ in range(3)] == [
        1
    ] * 3
    text = (types.unicode_type, types.unicode_type)
    assert [context.resolve_function_type(add, text, {}) for _ in range(2)] == [2, 3]


def test_what_was_not_found_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """numba tells of it in its own way each time, and may know more by then."""
    answers = iter([None, "found"])
    monkeypatch.setattr("rmqueue.mm.inference._known", {})
    monkeypatch.setattr(Context, "resolve_function_type", lambda *args: next(answers))
    context = RememberingContext(WHOLE)
    add = WHOLE.resolve_value_type(operator.add)
    asked = [context.resolve_function_type(add, PAIRS[0], {}) for _ in range(3)]
    assert asked == [None, "found", "found"]


def test_numba_takes_it_for_the_context_that_it_stands_for() -> None:
    """Its caches have the context in their keys: they would serve nobody."""
    context = RememberingContext(WHOLE)
    assert {WHOLE: "found"}[context] == {context: "found"}[WHOLE] == "found"
    assert context == RememberingContext(WHOLE)
    assert context != RememberingContext(Context())
    assert vars(context) is vars(WHOLE)
