"""What one thread of a process does at a time: compile, and parse."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ALONE = threading.RLock()


@contextmanager
def alone() -> Iterator[None]:
    """Do what two threads of a process cannot do at once: compile, and parse.

    numba takes the cache folder from a global, and Python 3.11 keeps the depth of its
    parser in one: it fails where the garbage collector lets another thread parse in
    between.  Without it, numba is also faster: it makes much and frees little, which
    is 5 % of a cold start.
    """
    with _ALONE:
        collecting = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if collecting:
                gc.enable()
