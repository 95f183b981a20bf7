"""What a user waits for before anything happens: import, compilation, warm start."""

from __future__ import annotations

import os
import tempfile

OPEN_ZONE = """
from rmqueue import Zone, ZoneConfig
zone = Zone(ZoneConfig(pages=2048))
zone.alloc()
"""
NEW_CACHE = """
import os, tempfile
os.environ["RMQUEUE_CACHE_DIR"] = tempfile.mkdtemp()
"""


class Startup:
    """Wall time of a new process [s]."""

    number, repeat, timeout = 1, (3, 10, 30.0), 300

    def setup(self) -> None:
        try:
            from rmqueue import Zone, ZoneConfig
        except ImportError:
            raise NotImplementedError("no Zone in this version") from None
        os.environ["RMQUEUE_CACHE_DIR"] = tempfile.gettempdir() + "/rmqueue-asv"
        Zone(ZoneConfig(pages=2048)).alloc()

    def timeraw_import(self) -> str:
        return "import rmqueue"

    def timeraw_warm_start(self) -> str:
        return OPEN_ZONE

    def timeraw_cold_compile(self) -> tuple[str, str]:
        return OPEN_ZONE, NEW_CACHE


Startup.timeraw_cold_compile.repeat = 2  # type: ignore[attr-defined]
