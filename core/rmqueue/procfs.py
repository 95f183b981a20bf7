"""Text of /proc/buddyinfo and /proc/pagetypeinfo, in the kernel's own layout."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: The kernel's names of migratetypes, and the one that is not modelled.
NAMES = ("Unmovable", "Movable", "Reclaimable", "HighAtomic", "CMA")
ISOLATE = "Isolate"


def buddyinfo(zone: str, counts: npt.NDArray[np.integer]) -> str:
    r"""Give one line: free blocks by order.

    Parameters
    ----------
    zone : str
        Name of the zone.
    counts : ndarray of int, shape (orders, types)
        Blocks on each free list.

    Notes
    -----
    ``frag_show_print()``, mm/vmstat.c.

    Examples
    --------
    >>> buddyinfo("Normal", np.array([[1, 2], [0, 0], [0, 5]]))
    'Node 0, zone   Normal      3      0      5 \n'
    """
    cells = "".join(f"{int(blocks):6d} " for blocks in counts.sum(axis=1))
    return f"Node 0, zone {zone:>8} {cells}\n"


def list_cell(blocks: int) -> str:
    """Show the length of a list; the kernel counts up to a hundred thousand."""
    most = 100_000
    return f">{most:6d} " if blocks >= most else f"{blocks:6d} "


def pagetypeinfo(
    zone: str,
    pageblock_order: int,
    counts: npt.NDArray[np.integer],
    types: npt.NDArray[np.uint8],
) -> str:
    """Give free blocks by type and order, and pageblocks by type.

    Parameters
    ----------
    zone : str
        Name of the zone.
    pageblock_order : int
        Order of a pageblock.
    counts : ndarray of int, shape (orders, types)
        Blocks on each free list; five types in a kernel with CMA, else four.
    types : ndarray of uint8
        Migratetype of each pageblock.

    Notes
    -----
    ``pagetypeinfo_show()``, mm/vmstat.c.  Isolation is not modelled: its rows are zero.
    """
    orders, nr_types = counts.shape
    names = (*NAMES[:nr_types], ISOLATE)
    lines = [
        f"Page block order: {pageblock_order}",
        f"Pages per block:  {1 << pageblock_order}",
        "",
        f"{'Free pages count per migrate type at order':<43} "
        + "".join(f"{order:6d} " for order in range(orders)),
    ]
    for mt, name in enumerate(names):
        column = counts[:, mt] if mt < nr_types else np.zeros(orders, np.int64)
        cells = "".join(list_cell(int(blocks)) for blocks in column)
        lines.append(f"Node {0:4d}, zone {zone:>8}, type {name:>12} {cells}")
    of_type = [int((types == mt).sum()) for mt in range(nr_types)]
    lines += [
        "",
        f"{'Number of blocks type':<23}" + "".join(f"{name:>12} " for name in names),
        f"Node {0}, zone {zone:>8} "
        + "".join(f"{blocks:12d} " for blocks in [*of_type, 0]),
    ]
    return "\n".join(lines) + "\n"
