"""Small experiments on the multi-CPU loop, as files."""

from __future__ import annotations

from pathlib import Path

READ = """\
name = "{name}"
machine = "lkp-cpl-4sp2"
seeds = [1, 2]
full_seeds = [1, 2, 3]
report = "{report}"
unusable_orders = [3]

[zone]
pages = 4096
cpus = 5
min_free_kbytes = 512
pageblock_order = 7
max_page_order = 7

[workload]
name = "lru-file-mmap-read"
params = {{ pages = {pages}, z = 2000, chunks = 1, page_table = 32 }}

[[strategies]]
name = "claim-whole-block"
label = "parent"

[[strategies]]
name = "steal-smallest-buddy"
label = "patch"

[[strategies]]
name = "steal-smallest-buddy"
label = "merge"
"""
SENSITIVITY = """
[sensitivity]
measures = [{measures}]
strategies = ["parent", "patch"]
params = {{ window = 16 }}

[[sensitivity.variations]]
label = "base"

[[sensitivity.variations]]
label = "slow"
params = {{ z = 200_000 }}
seeds = [5]

[[sensitivity.variations]]
label = "costly"
weights_ps = {{ list_del = 1_000_000 }}

[[sensitivity.variations]]
label = "large"
zone = {{ pages = 8192 }}
"""


def read_file(
    folder: Path,
    name: str = "reads",
    *,
    report: str = "terminal",
    pages: int = 1500,
    measures: tuple[str, ...] = (),
) -> Path:
    text = READ.format(name=name, report=report, pages=pages)
    if measures:
        text += SENSITIVITY.format(measures=", ".join(map(repr, measures)))
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path
