"""What a user waits for before anything happens: import, compilation, warm start."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

OPEN_ZONE = """
from rmqueue import Zone, ZoneConfig
zone = Zone(ZoneConfig(pages=2048))
zone.alloc()
"""
NEW_CACHE = """
import os, tempfile
os.environ["RMQUEUE_CACHE_DIR"] = tempfile.mkdtemp()
"""
#: A strategy as its author saves it: nothing of it has been compiled before.
EDIT = """
import pathlib, sys, tempfile, textwrap, time
edit = time.time_ns()
folder = pathlib.Path(tempfile.mkdtemp())
(folder / f"author_{edit}.py").write_text(textwrap.dedent(f'''
    from rmqueue.mm.fallback import rmqueue_claim, rmqueue_steal
    from rmqueue.mm.jit import jit

    @jit
    def fallback(zone, order, start_mt, flags, batch, st):
        if order == {edit % 2**30 + 20}:
            return -1
        pfn = rmqueue_claim(zone, order, start_mt, flags)
        if pfn < 0:
            pfn = rmqueue_steal(zone, order, start_mt)
        return pfn
'''))
sys.path.insert(0, str(folder))
"""
RUN_EDITED = """
import importlib
from rmqueue import Strategy, Zone, ZoneConfig
author = importlib.import_module(f"author_{edit}")
zone = Zone(ZoneConfig(pages=2048), Strategy("edited", "Edited.", author.fallback))
zone.alloc()
"""


class Startup:
    """Wall time of a new process [s]."""

    number, repeat, timeout, version = 1, (3, 10, 30.0), 300, "1"

    def setup(self) -> None:
        try:
            from rmqueue import Zone, ZoneConfig
        except ImportError:
            raise NotImplementedError("no Zone in this version") from None
        warm = Path(tempfile.gettempdir(), "rmqueue-asv")
        os.environ.setdefault("RMQUEUE_CACHE_DIR", str(warm))
        Zone(ZoneConfig(pages=2048)).alloc()

    def timeraw_import(self) -> str:
        return "import rmqueue"

    def timeraw_warm_start(self) -> str:
        return OPEN_ZONE

    def timeraw_edited_strategy(self) -> tuple[str, str]:
        return RUN_EDITED, EDIT

    def timeraw_cold_compile(self) -> tuple[str, str]:
        return OPEN_ZONE, NEW_CACHE


Startup.timeraw_cold_compile.repeat = 2  # type: ignore[attr-defined]
