"""What a zone costs: bytes per page, and opening a large one."""

from __future__ import annotations

import numpy as np

from benchmarks.choice import QUICK

try:
    from rmqueue import Zone, ZoneConfig
    from rmqueue.storage import ZoneStorage
except ImportError:  # an earlier rmqueue
    ZoneConfig = None  # type: ignore[assignment, misc]

TIB = 1 << 28  # [pages]


class Open:
    """A zone of 1 GiB, 64 GiB or 1 TiB."""

    params = (TIB >> 10,) if QUICK else (TIB >> 10, TIB >> 4, TIB)
    param_names = ("pages",)
    timeout, version = 300, "1"

    def setup(self, pages: int) -> None:
        if ZoneConfig is None:
            raise NotImplementedError("no Zone in this version")
        self.config = ZoneConfig(pages=pages)
        Zone(ZoneConfig(pages=2048))  # compile

    def time_open(self, pages: int) -> None:
        Zone(self.config)

    def peakmem_open(self, pages: int) -> None:
        self.zone = Zone(self.config)

    def track_bytes_per_page(self, pages: int) -> float:
        arrays = vars(ZoneStorage(self.config)).values()
        size = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
        return float(size / pages)


Open.track_bytes_per_page.unit = "bytes"  # type: ignore[attr-defined]
