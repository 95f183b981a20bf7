"""Which strategies are measured: all that are installed, a stranger's too.

RMQUEUE_BENCH_QUICK
    ``1``: two strategies, small streams and short runs, to see that every benchmark
    works; its figures mean nothing.
RMQUEUE_BENCH_STRATEGIES
    ``NAME,NAME,...``: these strategies only.
"""

from __future__ import annotations

import os

try:
    from rmqueue.registry import default_registry
    from rmqueue.testing.golden import VARIANTS
except ImportError:  # an earlier rmqueue
    HAVE_REGISTRY = False
else:
    HAVE_REGISTRY = True

#: What stands for all others: in a quick pass, and where a C program has no equal.
REFERENCE = "remembered-fallback"
QUICK = os.environ.get("RMQUEUE_BENCH_QUICK") == "1"


def strategies() -> tuple[str, ...]:
    """Names of the strategies to measure."""
    wanted = os.environ.get("RMQUEUE_BENCH_STRATEGIES", "")
    names = tuple(name.strip() for name in wanted.split(",") if name.strip())
    if names:
        return names
    if not HAVE_REGISTRY:
        return (REFERENCE,)
    names = default_registry().names("strategy")
    return tuple(dict.fromkeys((REFERENCE, names[0]))) if QUICK else names


def kernel_of(strategy: str) -> str:
    """Kernel profile that a strategy comes from; the newest if it comes from none.

    Raises
    ------
    NotImplementedError
        This version of rmqueue does not have it, or cannot tell.
    """
    try:
        from rmqueue.errors import RmqueueError
        from rmqueue.runs import native_kernel
    except ImportError:
        raise NotImplementedError("strategies have no kernel in this version") from None
    try:
        return native_kernel(default_registry().strategy(strategy))
    except RmqueueError as error:
        raise NotImplementedError(str(error)) from None


def yardstick_variant(strategy: str) -> str:
    """Variant of the C program that does what a strategy does, or the reference's."""
    of = {name: variant for variant, (_, name) in VARIANTS.items()}
    return of.get(strategy, of[REFERENCE])
