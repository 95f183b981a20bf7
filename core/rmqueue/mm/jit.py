"""The one door to numba: options, the cache and its digest, raw memory access.

No other module names numba.  With ``NUMBA_DISABLE_JIT=1`` everything here becomes plain
Python over the same memory, so a debugger can step from a replay into a strategy.

Environment
-----------
RMQUEUE_CACHE_DIR
    Folder of compiled code (default: the user's cache folder).
RMQUEUE_BOUNDSCHECK
    ``1`` compiles every access to a page's state with a range check; such code has a
    cache of its own.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast, overload

import numba
import numpy as np
from llvmlite import ir
from numba import _dynfunc, types
from numba.core import cgutils, config
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import NativeLowering
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])

ENABLED = not config.DISABLE_JIT
CHECKED = os.environ.get("RMQUEUE_BOUNDSCHECK", "0") == "1"
OPTIONS = {"nogil": True, "error_model": "numpy", "boundscheck": CHECKED}

I64 = types.int64
U64 = types.uint64


def cache_root() -> Path:
    """Folder for everything that rmqueue keeps between runs and can make again."""
    named = os.environ.get("RMQUEUE_CACHE_DIR")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "rmqueue"


def mm_digest() -> str:
    """Digest of all of ``mm/``, the versions and the options: the cache's true key.

    numba's own key leaves out callees in other files, globals and options such as
    bounds checks, and would run stale code silently.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    digest.update(
        repr(
            (numba.__version__, np.__version__, sys.version_info[:3], OPTIONS)
        ).encode()
    )
    digest.update(f"{platform.machine()} {config.CPU_NAME} {config.OPT!s}".encode())
    return digest.hexdigest()[:16]


MM_DIGEST = mm_digest()


def code_folder() -> Path:
    """Folder of this build's compiled code."""
    return cache_root() / "code" / MM_DIGEST


@overload
def jit(function: F) -> F: ...
@overload
def jit(*, forceinline: bool = False, cold: bool = False) -> Callable[[F], F]: ...
def jit(
    function: F | None = None, *, forceinline: bool = False, cold: bool = False
) -> Any:
    """Compile a function of numbers and records when it is first used.

    Parameters
    ----------
    function : callable
        Takes and returns numbers and records only.
    forceinline : bool
        Have LLVM copy the body into every caller; for the few small functions of the
        hot path.
    cold : bool
        Never copy it: LLVM would fold the whole allocator into one loop and have no
        registers left for the path that is taken 97 times in 100.
    """
    if function is not None:
        return _compile(function, _BrickCompiler)
    compiler = _ColdCompiler if cold else _BrickCompiler
    return lambda f: _compile(f, compiler, forceinline=forceinline)


class _BrickLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code that is only ever linked into an entry point.

    Optimising and assembling every function by itself, with all that it calls, takes
    most of a cold start; the entry point does it once for everything.
    """

    def finalize(self) -> None:
        """Keep the code as it was lowered."""
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True


@ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
def _refuse_call(module: Any, args: Any, kwargs: Any) -> None:
    """Return NULL, so that Python raises SystemError: call bricks from jitted code."""


def _not_executable(library: Any, fndesc: Any, env: Any) -> Any:
    """Stand in for a brick that is called from Python: there is no code to run."""
    address = ctypes.cast(_refuse_call, ctypes.c_void_p).value
    module, name = fndesc.lookup_module(), fndesc.qualname
    return _dynfunc.make_function(module, name, "", address, env, (library,))


class _ColdLibrary(_BrickLibrary):
    """Code that stays a function of its own."""

    def add_ir_module(self, ir_module: Any) -> None:
        """Forbid inlining of whatever the module defines."""
        for function in ir_module.functions:
            if not function.is_declaration:
                function.attributes.add("noinline")
        super().add_ir_module(ir_module)


class _EntryLibrary(JITCodeLibrary):  # type: ignore[misc]
    """An entry point with all bricks that it reaches, each linked once."""

    def finalize(self) -> None:
        """Gather what the bricks link in turn, then optimise and assemble."""
        libraries = self._linking_libraries
        for library in libraries:  # grows as it is walked
            libraries.extend(
                more for more in library._linking_libraries if more not in libraries
            )
        super().finalize()


def _lowering_into(library: type[Any], name: str) -> type[CompilerBase]:
    """Make a compiler whose code goes to one kind of library."""

    @register_pass(mutates_CFG=True, analysis_only=False)  # type: ignore[untyped-decorator]
    class Lowering(NativeLowering):  # type: ignore[misc]
        _name = name

        def run_pass(self, state: Any) -> bool:
            if state.library is None:
                state.library = library(
                    state.targetctx.codegen(), state.func_id.func_name
                )
                state.library.enable_object_caching()
            if issubclass(library, _BrickLibrary):
                state.targetctx.get_executable = _not_executable
            return cast("bool", super().run_pass(state))

    class Compiler(CompilerBase):  # type: ignore[misc]
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
            ]
            manager.finalize()
            return [manager]

    return Compiler


_BrickCompiler = _lowering_into(_BrickLibrary, "rmqueue_brick_lowering")
_ColdCompiler = _lowering_into(_ColdLibrary, "rmqueue_cold_lowering")
_EntryCompiler = _lowering_into(_EntryLibrary, "rmqueue_entry_lowering")


def _compile(function: F, compiler: type[CompilerBase], **options: object) -> F:
    if not ENABLED:
        return function
    compiled = numba.njit(
        function,
        pipeline_class=compiler,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        **OPTIONS,
        **options,
    )
    resolve = compiled.get_call_template

    def resolve_without_literals(args: Any, kws: Any) -> Any:
        return resolve([types.unliteral(a) for a in args], kws)

    # A call with a constant would otherwise compile a version of its own, for every
    # constant: a third of the cold start, and nothing gained.
    compiled.get_call_template = resolve_without_literals
    return cast("F", compiled)


def entry(*signature: Any, folder: Path | None = None) -> Callable[[F], F]:
    """Compile an entry point now, for one signature, or take it from the cache.

    Parameters
    ----------
    *signature : numba types
        The result, then the parameters.
    folder : Path, optional
        Cache folder; by default `code_folder`.
    """

    def compile_now(function: F) -> F:
        saved, config.CACHE_DIR = config.CACHE_DIR, str(folder or code_folder())
        try:
            done = numba.njit(
                signature[0](*signature[1:]),
                cache=True,
                pipeline_class=_EntryCompiler,
                **OPTIONS,
            )
            return cast("F", done(function))
        finally:
            config.CACHE_DIR = saved

    return compile_now if ENABLED else lambda function: function


def record(dtype: np.dtype[Any]) -> Any:
    """Numba's type of one record."""
    return numba.from_dtype(dtype)


def function_type(*signature: Any) -> Any:
    """Numba's type of a first-class function: the result, then the parameters."""
    return types.FunctionType(signature[0](*signature[1:]))


def python_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the Python function under a compiled one (itself if it is plain)."""
    return cast("Callable[..., Any]", getattr(function, "py_func", function))


def is_compiled(function: object) -> bool:
    """Whether a function carries the decorator of this module (always without JIT)."""
    return not ENABLED or hasattr(function, "py_func")


def _pointer(builder: Any, base: Any, offset: Any) -> Any:
    return builder.inttoptr(builder.add(base, offset), ir.PointerType())


def _loader(bits: int, scale: int, ctype: Any) -> Any:
    """Make ``load(address, index) -> int64`` for unsigned words of `bits` bits."""
    if not ENABLED:
        return lambda base, i: ctype.from_address(int(base) + scale * int(i)).value

    @intrinsic  # type: ignore[untyped-decorator]
    def load(typingctx: Any, base: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            offset = builder.mul(args[1], ir.Constant(ir.IntType(64), scale))
            pointer = _pointer(builder, args[0], offset)
            value = builder.load(pointer, typ=ir.IntType(bits))
            return value if bits == 64 else builder.zext(value, ir.IntType(64))

        return I64(I64, I64), codegen

    return load


def _storer(bits: int, scale: int, ctype: Any) -> Any:
    """Make ``store(address, index, value)``."""
    if not ENABLED:
        mask = (1 << bits) - 1

        def store_plain(base: int, i: int, value: int) -> None:
            ctype.from_address(int(base) + scale * int(i)).value = int(value) & mask

        return store_plain

    @intrinsic  # type: ignore[untyped-decorator]
    def store(typingctx: Any, base: Any, index: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            offset = builder.mul(args[1], ir.Constant(ir.IntType(64), scale))
            word = args[2]
            if bits < 64:
                word = builder.trunc(word, ir.IntType(bits))
            builder.store(word, _pointer(builder, args[0], offset))
            return context.get_dummy_value()

        return types.void(I64, I64, I64), codegen

    return store


load_u8, store_u8 = _loader(8, 1, ctypes.c_uint8), _storer(8, 1, ctypes.c_uint8)
load_u32, store_u32 = _loader(32, 4, ctypes.c_uint32), _storer(32, 4, ctypes.c_uint32)
load_i64, store_i64 = _loader(64, 8, ctypes.c_int64), _storer(64, 8, ctypes.c_int64)


def _make_prefetch() -> Any:
    if not ENABLED:
        return lambda base, offset: None

    @intrinsic  # type: ignore[untyped-decorator]
    def prefetch(typingctx: Any, base: Any, offset: Any) -> Any:
        """Ask for the cache line at ``base + offset`` (a hint; never faults)."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            i32 = ir.IntType(32)
            signature_ = ir.FunctionType(
                ir.VoidType(), [ir.PointerType(), i32, i32, i32]
            )
            hint = cgutils.get_or_insert_function(
                builder.module, signature_, "llvm.prefetch.p0"
            )
            flags = [ir.Constant(i32, v) for v in (1, 3, 1)]  # write, keep, data
            builder.call(hint, [_pointer(builder, args[0], args[1]), *flags])
            return context.get_dummy_value()

        return types.void(I64, I64), codegen

    return prefetch


prefetch = _make_prefetch()


def _make_bit_length() -> Any:
    if not ENABLED:
        return lambda value: int(value).bit_length()

    @intrinsic  # type: ignore[untyped-decorator]
    def bit_length(typingctx: Any, value: Any) -> Any:
        """Position of the highest set bit, plus one; 0 for 0."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            zero = builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))
            return builder.sub(ir.Constant(ir.IntType(64), 64), zero)

        return I64(I64), codegen

    return bit_length


bit_length = _make_bit_length()


def _wrapping_mul(a: int, b: int) -> int:
    """Product of two signed 64-bit numbers modulo 2**64, as a signed number."""
    return a * b


if ENABLED:
    wrapping_mul = jit(forceinline=True)(_wrapping_mul)
else:

    def wrapping_mul(a: int, b: int) -> int:
        """Do what a 64-bit register does, in Python's unbounded integers."""
        product = (int(a) * int(b)) & ((1 << 64) - 1)
        return product - (1 << 64) if product >> 63 else product



def constant_field(dtype: np.dtype[Any], name: str) -> Any:
    """Make ``get(record) -> int64`` for a field that no jitted call changes.

    Every store through an address might change a record as far as LLVM knows, so an
    ordinary field is loaded again after each of them.
    """
    if not ENABLED:
        return lambda record: record[name]
    fields = dtype.fields
    assert fields is not None
    offset, rectype = fields[name][1], record(dtype)

    @intrinsic  # type: ignore[untyped-decorator]
    def get(typingctx: Any, record: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            i64 = ir.IntType(64)
            address = builder.ptrtoint(args[0], i64)
            value = builder.load(
                _pointer(builder, address, ir.Constant(i64, offset)), typ=i64
            )
            value.set_metadata("invariant.load", builder.module.add_metadata([]))
            return value

        return I64(rectype), codegen

    return get


_views: dict[tuple[int, int], Any] = {}


def view_as(dtype: np.dtype[Any]) -> Any:
    """Make ``view(address) -> record``: the record of `dtype` that lies there.

    The record has no reference count; whoever owns the memory keeps it alive.
    """
    if not ENABLED:
        return lambda address: plain_record(int(address), dtype)
    rectype = record(dtype)

    @intrinsic  # type: ignore[untyped-decorator]
    def view(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(rectype))

        return rectype(I64), codegen

    return view


def plain_record(address: int, dtype: np.dtype[Any]) -> Any:
    """Return the record at an address as a numpy record, attributes and all."""
    key = (address, id(dtype))
    if key not in _views:
        if len(_views) > 4096:
            _views.clear()
        memory = (ctypes.c_uint8 * dtype.itemsize).from_address(address)
        _views[key] = np.frombuffer(memory, dtype).view(np.recarray)[0]
    return _views[key]
