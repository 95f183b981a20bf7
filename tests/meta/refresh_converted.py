"""Convert the recording that comes with rmqueue anew, and put it beside its files.

python -m tests.meta.refresh_converted
"""

from __future__ import annotations

from tests.meta.sources import ROOT

RECORDING = ROOT / "plugins" / "rmqueue_plugins" / "data" / "steal-7.3"


def main() -> None:
    from rmqueue_plugins.readers.cache import ship
    from rmqueue_plugins.readers.folder import input_files
    from rmqueue_plugins.readers.recording import convert_folder

    print(ship(input_files(RECORDING), convert_folder(RECORDING)))


if __name__ == "__main__":
    main()
