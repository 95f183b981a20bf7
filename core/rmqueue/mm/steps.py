"""A budget of steps for each fallback: an endless loop ends in a message.

Compiled code cannot be interrupted.  So every turn of a loop that is not of ``mm/``
itself is counted: in a function that takes the zone against what is left of the
fallback's budget, in any other against a limit of its own.  In the loops of a strategy
this costs about a nanosecond a turn.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir as llvm
from numba import types
from numba.core import cgutils, ir
from numba.core.analysis import compute_cfg_from_blocks
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.ir_utils import build_definitions
from numba.extending import intrinsic

#: Turns that a loop may take in a function that has no zone at hand.
MOST_TURNS = 1 << 30
#: What is left while no strategy is asked: loops of others are not counted.
ENDLESS = 1 << 62


class EndlessLoopError(Exception):
    """A loop has used up the budget of steps; file and line of the loop."""


def step_limit(pages: int) -> int:
    """Return the steps that one fallback may take in a zone of so many pages.

    A search that looks at every page has room enough.
    """
    return (1 << 16) + 8 * pages


@register_pass(mutates_CFG=False, analysis_only=False)
class CountSteps(FunctionPass):  # type: ignore[misc]
    """Count at the head of every loop."""

    _name = "rmqueue_count_steps"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        """Insert the counting; whether there was a loop."""
        blocks = state.func_ir.blocks
        heads = {
            loop.header for loop in compute_cfg_from_blocks(blocks).loops().values()
        }
        zones = [
            name
            for name, kind in zip(state.func_ir.arg_names, state.args, strict=False)
            if isinstance(kind, types.Record) and "steps_left" in kind.fields
        ]
        for head in heads:
            _insert(blocks[head], zones[:1])
        if heads:
            state.func_ir._definitions = build_definitions(blocks)
            state.typingctx.refresh()  # the intrinsics made just now
        return bool(heads)


def _insert(block: Any, zone: list[str]) -> None:
    """Put ``count(zone)`` or ``count()`` before all else of a block."""
    scope, loc = block.scope, block.loc
    count = scope.redefine("$count_steps", loc)
    done = scope.redefine("$counted_steps", loc)
    place = (str(loc.filename), int(loc.line))
    function = _of_zone(place) if zone else _of_function(place)
    arguments = [scope.get(name) for name in zone]
    call = ir.Expr.call(count, arguments, (), loc)
    block.body[:0] = [
        ir.Assign(ir.FreeVar(0, "count_steps", function, loc), count, loc),
        ir.Assign(call, done, loc),
    ]


def _leave(context: Any, builder: Any, over: Any, place: tuple[str, int]) -> Any:
    """Raise if the budget is used up."""
    with cgutils.if_unlikely(builder, over):
        context.call_conv.return_user_exc(builder, EndlessLoopError, place)
    return context.get_dummy_value()


def _of_zone(place: tuple[str, int]) -> Any:
    """Make ``count(zone)``: one step off what is left to the fallback."""

    @intrinsic  # type: ignore[untyped-decorator]
    def count(typingctx: Any, zone: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = llvm.IntType(64)
            base = builder.ptrtoint(args[0], word)
            offset = llvm.Constant(word, zone.offset("steps_left"))
            pointer = builder.inttoptr(builder.add(base, offset), llvm.PointerType())
            left = builder.load(pointer, typ=word)
            builder.store(builder.sub(left, llvm.Constant(word, 1)), pointer)
            over = builder.icmp_signed("<", left, llvm.Constant(word, 1))
            return _leave(context, builder, over, place)

        return types.void(zone), codegen

    return count


def _of_function(place: tuple[str, int]) -> Any:
    """Make ``count()``: turns since the function was called."""

    @intrinsic  # type: ignore[untyped-decorator]
    def count(typingctx: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = llvm.IntType(64)
            pointer = cgutils.alloca_once(builder, word)  # zero on entry
            turns = builder.add(builder.load(pointer), llvm.Constant(word, 1))
            builder.store(turns, pointer)
            over = builder.icmp_signed(">", turns, llvm.Constant(word, MOST_TURNS))
            return _leave(context, builder, over, place)

        return types.void(), codegen

    return count
