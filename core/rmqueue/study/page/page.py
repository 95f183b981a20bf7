"""The page: everything of a study in one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import vl_convert

from rmqueue.errors import UsageError
from rmqueue.registry import default_registry
from rmqueue.report import text
from rmqueue.results import Comparison
from rmqueue.study.kept import KeptRun, KeptStudy
from rmqueue.study.page import figures, series
from rmqueue.study.page.chapters import Chapter, chapters_of
from rmqueue.study.page.maps import Album, pack, pictures
from rmqueue.study.page.numbers import duration
from rmqueue.study.page.sweeps import sweeps_of
from rmqueue.study.page.table import Heat, Table, heats_of, table_of
from rmqueue.study.page.verdict import grouped_leads, sentences

#: Chapters that get pictures and charts; the others, a table and words.
MOST_ILLUSTRATED = 12
#: What the page uses of the bundle of Vega, Vega-Lite and Vega-Embed.
VEGA = "window.vegaEmbed = vegaEmbed;"
HERE = files("rmqueue.study.page")


@dataclass(frozen=True)
class Part:
    """A chapter as the template wants it.

    Attributes
    ----------
    ident, title, description, source : str
        Anchor, and words above.
    sentences, notes : tuple of str
        The verdict in full; what a reader must know.
    table : Table
        The comparison.
    text : str
        All figures as ``rmqueue compare`` prints them.
    published : str
        Published figures beside those of the runs; empty if there are none.
    heats : list of (str, list of Heat)
        Fallbacks by type pair.
    worst : list of tuple
        Strategy, seed, length, and parts of its worst hold.
    map : bool
        It has pictures of the zone.
    zone : str
        The zone that is shown over time.
    """

    ident: str
    title: str
    description: str
    source: str
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    table: Table
    text: str
    published: str
    heats: list[tuple[str, list[Heat]]]
    worst: list[tuple[str, str, str, list[tuple[str, int, str]]]]
    map: bool
    zone: str
    illustrated: bool


def page_of(study: KeptStudy, command: str) -> str:
    """Return a study as HTML.

    Parameters
    ----------
    study : KeptStudy
        The runs.
    command : str
        What makes this page again.

    Raises
    ------
    UsageError
        Nothing of the study is there.
    """
    check_runs(study)
    chapters = list(chapters_of(study))
    album = Album(min(len(chapters), MOST_ILLUSTRATED))
    charts: dict[str, Any] = {}
    maps: dict[str, Any] = {}
    parts = []
    for number, chapter in enumerate(chapters):
        ident = f"c{number}"
        illustrated = number < MOST_ILLUSTRATED
        found = pictures(chapter, album) if illustrated else None
        if found:
            maps[ident] = found
        if illustrated:
            charts |= {f"{ident}-{n}": c for n, c in charts_of(chapter).items()}
        parts.append(part_of(chapter, ident, bool(found), illustrated))
    sweeps = {f"s{number}": one for number, one in enumerate(sweeps_of(study))}
    charts |= {name: one.chart for name, one in sweeps.items()}
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            study=study,
            command=command,
            parts=parts,
            leads=grouped_leads(chapters),
            sweeps=sweeps,
            charts=charts,
            about=about(study.runs[0]),
            config=pretty(study.runs[0].provenance.get("config", {})),
            runs=study.runs,
            data=pack(json.dumps({"charts": charts, "maps": maps}).encode()),
            bytes=album.packed(),
            vega=vega(),
            own_css=source("page.css"),
            own_js=source("page.js"),
        )
    )


def check_runs(study: KeptStudy) -> None:
    """Refuse a study of which nothing is there."""
    if not study.runs:
        raise UsageError(
            f"{study.path}: there is nothing to report: {study.missing:,} runs are "
            "missing: rmqueue run --resume runs them"
        )


def source(name: str) -> str:
    """Text of a file of this package."""
    return HERE.joinpath(name).read_text(encoding="utf-8")


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; made once, which takes seconds."""
    return vl_convert.javascript_bundle(VEGA).replace("</script", "<\\/script")


def environment() -> jinja2.Environment:
    """Templates; whatever they show is escaped."""
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def part_of(chapter: Chapter, ident: str, has_map: bool, illustrated: bool) -> Part:
    """Put the words and tables of a chapter together."""
    table = chapter.table
    return Part(
        ident=ident,
        title=chapter.title,
        description=table.description,
        source=table.source,
        sentences=tuple(sentences(chapter)),
        notes=table.notes,
        table=table_of(table),
        text=text(table),
        published=published(table),
        heats=list(heats_of(chapter)),
        worst=[worst_of(chapter, label) for label in table.labels],
        map=has_map,
        zone=table.index_zone,
        illustrated=illustrated,
    )


def published(table: Comparison) -> str:
    """Let the reporter of an experiment with published figures show them."""
    config: Mapping[str, Any] = table.provenance.get("config", {})
    name = config.get("report", "")
    if not table.published or name not in default_registry().names("reporter"):
        return ""
    found = default_registry().reporter(name).render(table)
    return found if isinstance(found, str) and found != text(table) else ""


def worst_of(
    chapter: Chapter, label: str
) -> tuple[str, str, str, list[tuple[str, int, str]]]:
    """Strategy, seed and length of the worst hold, and what it consists of."""
    run = series.worst_run(chapter.runs_of(label))
    seed = "" if run.row.seed is None else f"seed {run.row.seed}"
    parts = [(name, n, duration(cost)) for name, n, cost in series.dissected(run)]
    return label, seed, duration(run.row.total.holds.worst_ps), parts


def charts_of(chapter: Chapter) -> dict[str, Any]:
    """Charts of a chapter, by name; those without data are left out."""
    labels, time = chapter.table.labels, series.axis_title(chapter)
    found: dict[str, Any] = {}
    if rows := series.hold_rows(chapter):
        found["holds"] = figures.holds(rows, labels)
    if rows := series.work_rows(chapter):
        found["work"] = figures.work(rows, labels)
    if rows := series.unusable_rows(chapter):
        found["unusable"] = figures.index(rows, labels, time, "unusable free space")
    if rows := series.fragmentation_rows(chapter):
        found["extfrag"] = figures.index(rows, labels, time, "fragmentation index")
    if rows := series.block_rows(chapter):
        found["blocks"] = figures.blocks(rows, labels, time)
    return found


def about(run: KeptRun) -> dict[str, str]:
    """Versions, machine and input of a study, in words."""
    made: Mapping[str, Any] = run.provenance
    where = made.get("where", {})
    found = {
        name: str(made[name])
        for name in ("rmqueue", "python", "numpy", "numba")
        if name in made
    }
    found |= {f"where: {name}": str(value) for name, value in where.items() if value}
    for name in ("kernels", "plugins", "input_sha256"):
        for key, value in made.get(name, {}).items():
            found[f"{name}: {key}"] = str(value)
    return found


def pretty(values: Any) -> str:
    """Show values as indented JSON."""
    return json.dumps(values, indent=2, ensure_ascii=False, default=str)
