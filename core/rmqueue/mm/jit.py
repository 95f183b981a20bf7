"""The one door to numba: options, the cache and its digest, raw memory access.

No other module names numba, but its other parts: `rmqueue.mm.linking`, `inference`,
`steps`, `crossing` and `direct`.  With ``NUMBA_DISABLE_JIT=1`` everything here becomes
plain Python over the same memory, so a debugger can step from a replay into a strategy.

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
import functools
import hashlib
import os
import pickle
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast, overload

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.compiler import CompilerBase
from numba.extending import intrinsic

from rmqueue.mm import linking
from rmqueue.mm.alone import alone
from rmqueue.mm.linking import BrickCompiler, ColdCompiler, EntryCompiler
from rmqueue.mm.plain import plain_view

F = TypeVar("F", bound=Callable[..., Any])

ENABLED = not config.DISABLE_JIT
CHECKED = os.environ.get("RMQUEUE_BOUNDSCHECK", "0") == "1"
OPTIONS = {"nogil": True, "error_model": "numpy", "boundscheck": CHECKED}

#: What reading compiled code raises that a full disk or a loss of power cut short.
CUT_SHORT = (pickle.UnpicklingError, EOFError)

I64 = types.int64


def cache_root() -> Path:
    """Folder for everything that rmqueue keeps between runs and can make again."""
    named = os.environ.get("RMQUEUE_CACHE_DIR")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "rmqueue"


def sources_digest() -> str:
    """Digest of all of ``mm/`` and of the versions under it: what results depend on."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    digest.update(f"{numba.__version__} {np.__version__}".encode())
    return digest.hexdigest()[:16]


def mm_digest() -> str:
    """Digest of sources, options and processor: the cache's true key."""
    # numba's own leaves out callees in other files and options: stale code would run
    built = (sys.version_info[:3], platform.machine(), config.CPU_NAME, OPTIONS)
    wanted = (SOURCES_DIGEST, str(config.OPT), built)
    return hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]


SOURCES_DIGEST = sources_digest()
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
        return _compile(function, BrickCompiler)
    compiler = ColdCompiler if cold else BrickCompiler
    return lambda f: _compile(f, compiler, forceinline=forceinline)


def _compile(function: F, compiler: type[CompilerBase], **options: object) -> F:
    if not ENABLED:
        return function
    options = {**OPTIONS, **options}
    if not function.__module__.startswith("rmqueue.mm."):
        options["boundscheck"] = True  # what an author writes out of bounds is told
        compiler = linking.AuthorCompiler
    compiled = numba.njit(
        function,
        pipeline_class=compiler,
        no_cpython_wrapper=True,
        no_cfunc_wrapper=True,
        **options,
    )
    compiled.__class__ = linking.BrickDispatcher
    resolve = compiled.get_call_template

    def resolve_without_literals(args: Any, kws: Any) -> Any:
        return resolve([types.unliteral(a) for a in args], kws)

    # A call with a constant would otherwise compile a version of its own, for every
    # constant: a third of the cold start, and nothing gained.
    compiled.get_call_template = resolve_without_literals
    return cast("F", compiled)


def entry(*signature: Any) -> Callable[[F], F]:
    """Compile an entry point for one signature when it is first called.

    Parameters
    ----------
    *signature : numba types
        The result, then the parameters.
    """

    def lazily(function: F) -> F:
        code: list[Callable[..., Any]] = []

        @functools.wraps(function)
        def call(*args: Any) -> Any:
            if not code:
                with alone():
                    if not code:
                        done = compile_entry(function, signature, code_folder())
                        code.append(done)
            return code[0](*args)

        return cast("F", call)

    return lazily if ENABLED else lambda function: function


def compile_entry(function: F, signature: tuple[Any, ...], folder: Path) -> F:
    """Compile an entry point now, or take it from a cache folder."""
    if not ENABLED:
        return function
    with alone():
        saved, config.CACHE_DIR = config.CACHE_DIR, str(folder)
        try:
            done = numba.njit(
                signature[0](*signature[1:]),
                cache=True,
                pipeline_class=EntryCompiler,
                **OPTIONS,
            )
            try:
                return cast("F", done(function))
            except CUT_SHORT:
                for index in folder.rglob("*.nbi"):
                    index.unlink(missing_ok=True)
                return cast("F", done(function))
        finally:
            config.CACHE_DIR = saved


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


def scalar_item(dtype: np.dtype[Any], name: str) -> Any:
    """Make ``get(record, i) -> int64`` for the items of an array of 64-bit words.

    Never a part of a vector: a vector load that covers a word stored just before waits
    until all stores before it have reached the cache, and one of those may have missed.
    """
    if not ENABLED:
        return lambda record, i: record[name][i]
    fields = dtype.fields
    assert fields is not None
    start, rectype = fields[name][1], record(dtype)

    @intrinsic  # type: ignore[untyped-decorator]
    def get(typingctx: Any, record: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            i64 = ir.IntType(64)
            base = builder.ptrtoint(args[0], i64)
            offset = builder.mul(args[1], ir.Constant(i64, 8))
            offset = builder.add(offset, ir.Constant(i64, start))
            pointer = _pointer(builder, base, offset)
            return builder.load_atomic(pointer, "monotonic", 8, typ=i64)

        return I64(rectype, I64), codegen

    return get


def view_as(dtype: np.dtype[Any]) -> Any:
    """Make ``view(address) -> record``: the record of `dtype` that lies there.

    The record has no reference count; whoever owns the memory keeps it alive.
    """
    if not ENABLED:
        return plain_view(dtype)
    rectype = record(dtype)

    @intrinsic  # type: ignore[untyped-decorator]
    def view(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(rectype))

        return rectype(I64), codegen

    return view
