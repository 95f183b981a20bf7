"""How compiled functions are put together: the other half of `rmqueue.mm.jit`.

A *brick* is lowered once and kept as it is; an *entry point* gathers all bricks that it
reaches, and only then LLVM optimises and assembles, once for everything.  By itself
numba would do so for every function, with all that it calls: most of a cold start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

from llvmlite import ir
from numba import _dynfunc, types
from numba.core import config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import (
    DumpParforDiagnostics,
    InlineOverloads,
    NativeLowering,
    NopythonRewrites,
)
from numba.core.untyped_passes import (
    FindLiterallyCalls,
    InlineClosureLikes,
    InlineInlinables,
    LiteralPropagationSubPipelinePass,
    LiteralUnroll,
    MakeFunctionToJitFunction,
    ReconstructSSA,
    RewriteDynamicRaises,
    WithLifting,
)
from numba.extending import intrinsic

from rmqueue.mm.inference import RememberingContext
from rmqueue.mm.steps import CountSteps


class BrickDispatcher(CPUDispatcher):  # type: ignore[misc]
    """A brick; Python calls it through an entry point (`rmqueue.mm.direct`)."""

    from_python: ClassVar[Callable[..., Any]]

    def __call__(self, *args: Any) -> Any:
        """Call it with numbers, and records as `rmqueue.mm.plain` makes them."""
        return self.from_python(self, *args)


#: Names of the functions that stay functions of their own.
COLD: set[str] = set()


def leave_slots_unset(ir_module: Any) -> None:
    """Drop the zeros that numba stores into the slots of a cold call's outcome.

    A call has a slot for the result and one for the exception; both are zeroed at the
    start of the calling function, and the first again before the call.  Nobody reads
    them but behind a call that has set them.  LLVM sees so where it copies the callee
    in; elsewhere it keeps the stores, also on the path that does not call: some 14 of
    them for an allocation.
    """
    for function in ir_module.functions:
        slots = {
            id(slot)
            for block in function.blocks
            for call in block.instructions
            if isinstance(call, ir.CallInstr) and call.callee.name in COLD
            for slot in call.args[:2]
        }
        for block in function.blocks:
            block.instructions[:] = [
                step
                for step in block.instructions
                if not (
                    isinstance(step, ir.StoreInstr)
                    and isinstance(step.operands[0], ir.Constant)
                    and id(step.operands[1]) in slots
                )
            ]


class BrickLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code that is only ever linked into an entry point."""

    def add_ir_module(self, ir_module: Any) -> None:
        """Take the module without stores that nobody needs."""
        leave_slots_unset(ir_module)
        super().add_ir_module(ir_module)

    def finalize(self) -> None:
        """Keep the code as it was lowered."""
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True


def _not_executable(library: Any, fndesc: Any, env: Any) -> Any:
    """Stand in for what Python would call: `BrickDispatcher` calls something else."""
    module, name = fndesc.lookup_module(), fndesc.qualname
    return _dynfunc.make_function(module, name, "", 0, env, (library,))


class ColdLibrary(BrickLibrary):
    """Code that stays a function of its own."""

    def add_ir_module(self, ir_module: Any) -> None:
        """Forbid inlining of whatever the module defines."""
        for function in ir_module.functions:
            if not function.is_declaration:
                function.attributes.add("noinline")
                COLD.add(function.name)
        super().add_ir_module(ir_module)


def users_first(libraries: list[Any]) -> list[Any]:
    """Gather libraries and all that they use, each behind all that use it.

    LLVM links a function only if something that is there already calls it: one that is
    offered before its first caller would be missing.
    """
    found: list[Any] = []
    seen: set[int] = set()

    def visit(library: Any) -> None:
        if id(library) in seen:
            return
        seen.add(id(library))
        for used in reversed(library._linking_libraries):
            visit(used)
        found.append(library)

    for library in reversed(libraries):
        visit(library)
    return found[::-1]


class EntryLibrary(JITCodeLibrary):  # type: ignore[misc]
    """An entry point with all bricks that it reaches, each linked once."""

    def add_ir_module(self, ir_module: Any) -> None:
        """Take the module without stores that nobody needs."""
        leave_slots_unset(ir_module)
        super().add_ir_module(ir_module)

    def finalize(self) -> None:
        """Gather what the bricks link in turn, then optimise and assemble."""
        self._linking_libraries[:] = users_first(self._linking_libraries)
        super().finalize()


#: Passes for what no jitted code here holds: array expressions, loops in parallel.
NOT_NEEDED = (NopythonRewrites, DumpParforDiagnostics)
#: For what only authors may use: closures, ``with``, literals in loops.  A pass takes a
#: quarter of a millisecond with every function, even if it finds nothing to do.
NOT_NEEDED_IN_MM = (
    *NOT_NEEDED,
    WithLifting,
    InlineClosureLikes,
    RewriteDynamicRaises,
    MakeFunctionToJitFunction,
    InlineInlinables,
    FindLiterallyCalls,
    LiteralUnroll,
    LiteralPropagationSubPipelinePass,
    InlineOverloads,
)


def _lowering_into(
    library: type[Any], name: str, counts_steps: bool = False
) -> type[CompilerBase]:
    """Make a compiler whose code goes to one kind of library."""

    @register_pass(mutates_CFG=True, analysis_only=False)
    class Lowering(NativeLowering):  # type: ignore[misc]
        _name = name

        def run_pass(self, state: Any) -> bool:
            if state.library is None:
                state.library = library(
                    state.targetctx.codegen(), state.func_id.func_name
                )
                state.library.enable_object_caching()
            if issubclass(library, BrickLibrary):
                state.targetctx.get_executable = _not_executable
            return cast("bool", super().run_pass(state))

    class Compiler(CompilerBase):  # type: ignore[misc]
        def __init__(self, typingctx: Any, *others: Any) -> None:
            super().__init__(RememberingContext(typingctx), *others)

        def define_pipelines(self) -> list[Any]:
            builder = DefaultPassBuilder
            manager = PassManager(name)
            for define in (
                builder.define_untyped_pipeline,
                builder.define_typed_pipeline,
                builder.define_nopython_lowering_pipeline,
            ):
                manager.passes.extend(define(self.state).passes)
            manager.passes = [
                (Lowering if made_by is NativeLowering else made_by, words)
                for made_by, words in manager.passes
                if made_by not in (NOT_NEEDED if counts_steps else NOT_NEEDED_IN_MM)
            ]
            if counts_steps:
                at = [made_by for made_by, _ in manager.passes].index(ReconstructSSA)
                manager.passes.insert(at, (CountSteps, "count steps"))
            manager.finalize()
            return [manager]

    return Compiler


def function_slots(function_type: Any) -> tuple[Any, Any]:
    """Make ``keep(address, function)`` and ``get(address) -> function``.

    A first-class function is three addresses; they may lie in memory like any other.
    """
    if config.DISABLE_JIT:
        kept: dict[int, Any] = {}
        return kept.__setitem__, kept.__getitem__

    @intrinsic  # type: ignore[untyped-decorator]
    def keep(typingctx: Any, address: Any, function: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            builder.store(args[1], builder.inttoptr(args[0], ir.PointerType()))
            return context.get_dummy_value()

        return types.void(types.int64, function_type), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def get(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            pointer = builder.inttoptr(args[0], ir.PointerType())
            return builder.load(pointer, typ=context.get_value_type(function_type))

        return function_type(types.int64), codegen

    return keep, get


BrickCompiler = _lowering_into(BrickLibrary, "rmqueue_brick_lowering")
AuthorCompiler = _lowering_into(BrickLibrary, "rmqueue_author_lowering", True)
ColdCompiler = _lowering_into(ColdLibrary, "rmqueue_cold_lowering")
EntryCompiler = _lowering_into(EntryLibrary, "rmqueue_entry_lowering")
