"""Time of strategies by that of C on a short stream: a line of JSON.

python -m benchmarks.ratios [--plugin FILE]... STRATEGY...

`rmqueue bench` asks this.  Without a compiler there are no ratios, and `note` says so.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.choice import kernel_of, yardstick_variant
from benchmarks.compare_yardstick import ratio_to_yardstick
from benchmarks.streams import binary, load

STREAM = "bulkfrag"


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    # here, since asv imports this module with earlier versions too
    from rmqueue.errors import RmqueueError
    from rmqueue.registry import default_registry

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("strategies", nargs="+", metavar="STRATEGY")
    parser.add_argument("--plugin", type=Path, action="append", default=[])
    given = parser.parse_args(words)
    ratios = {}
    note = f"by C: CPU time on the stream {STREAM}, by that of a C program with the "
    note += "same strategy, else with remembered-fallback"
    try:
        for path in given.plugin:
            default_registry().add_file(path)
        binary()
        for name in given.strategies:
            stream = load(STREAM, kernel_of(name))
            ratios[name] = ratio_to_yardstick(stream, name, yardstick_variant(name))
    except NotImplementedError as error:
        note = f"by C: skipped: {error}"
    except RmqueueError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    print(json.dumps({"ratios": ratios, "note": note}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
