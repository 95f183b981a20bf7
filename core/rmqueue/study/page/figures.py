"""Charts of a report: Vega-Lite specifications, made with Altair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from rmqueue.study.page.series import Row

#: Colours that people of all colour visions tell apart (Okabe and Ito), in an order
#: that begins with those that stand out on white and on black; the eighth is grey.
PALETTE = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#8C8C8C", "#B8A500"),
)
#: Dashes tell lines apart without colour, and beyond eight.
DASHES = ([1, 0], [6, 2], [2, 2], [8, 2, 2, 2], [12, 3], [4, 4], [1, 3])
WIDTH, HEIGHT, SMALL = 980, 340, 260
#: Of tiles beside each other, two or three in a row.
HALF, THIRD = 450, 290


def cycled(values: Sequence[Any], count: int) -> list[Any]:
    """Repeat values until there are enough."""
    return [values[at % len(values)] for at in range(count)]


def colour(labels: Sequence[str]) -> alt.Color:
    """Colour by strategy; the same one in all charts of a chapter."""
    scale = alt.Scale(domain=list(labels), range=cycled(PALETTE, len(labels)))
    return alt.Color("strategy:N", scale=scale, title=None, legend=legend())


def dash(labels: Sequence[str]) -> alt.StrokeDash:
    """Dash by strategy, beside its colour."""
    scale = alt.Scale(domain=list(labels), range=cycled(DASHES, len(labels)))
    return alt.StrokeDash("strategy:N", scale=scale, title=None, legend=legend())


def legend() -> alt.Legend:
    """Legend above the chart, with room for long names."""
    return alt.Legend(
        orient="top",
        columns=4,
        labelLimit=300,
        symbolType="stroke",
        symbolSize=600,
        symbolOpacity=1,
        symbolStrokeWidth=2.5,
    )


def powers(values: Sequence[float]) -> list[float]:
    """Powers of ten that a logarithmic axis is ruled at.

    Examples
    --------
    >>> powers([0.3, 20])
    [0.1, 1.0, 10.0, 100.0]
    """
    low = math.floor(math.log10(min(values)))
    high = math.ceil(math.log10(max(values)))
    return [float(f"1e{power}") for power in range(low, high + 1)]


def specification(chart: Any, description: str) -> dict[str, Any]:
    """Return a chart as JSON values, in the dress of the page."""
    dressed = (
        chart.properties(description=description, background="transparent")
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal")
        .configure_legend(labelFontSize=12)
        .configure_header(labelFontSize=12, title=None)
    )
    found: dict[str, Any] = dressed.to_dict()
    return found


def holds(rows: list[Row], labels: Sequence[str]) -> dict[str, Any]:
    """Complementary distribution of lock holds, both axes logarithmic."""
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X(
            "us:Q",
            scale=alt.Scale(type="log"),
            axis=alt.Axis(values=powers([row["us"] for row in rows]), format=",~g"),
            title="length of a hold [µs]",
        ),
        y=alt.Y(
            "share:Q",
            scale=alt.Scale(type="log"),
            axis=alt.Axis(values=powers([row["share"] for row in rows]), format="~%"),
            title="share of holds this long or longer",
        ),
        color=colour(labels),
        strokeDash=dash(labels),
    )
    line = base.mark_line(strokeWidth=2, interpolate="step-before")
    told = base.mark_point(opacity=0, size=80, aria=False).encode(
        tooltip=["strategy:N", alt.Tooltip("us:Q", format=",.3~f"), "share:Q"]
    )
    return specification(
        (line + told).properties(width=WIDTH, height=HEIGHT),
        "Share of zone lock holds that last a time or longer, for each strategy",
    )


def work(rows: list[Row], labels: Sequence[str]) -> dict[str, Any]:
    """Worst hold of each strategy, in parts by the work that it consists of."""
    total: dict[str, float] = {}
    for row in rows:
        total[row["counter"]] = total.get(row["counter"], 0) + row["us"]
    counters = sorted(total, key=lambda name: -total[name])
    rank = {name: number for number, name in enumerate(counters)}
    rows = [{**row, "rank": rank[row["counter"]]} for row in rows]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar()
        .encode(
            x=alt.X(
                "us:Q",
                stack="zero",
                axis=alt.Axis(tickCount=8),
                title="length of the worst hold [µs]",
            ),
            y=alt.Y(
                "strategy:N",
                sort=list(labels),
                title=None,
                axis=alt.Axis(labelLimit=300),
            ),
            color=alt.Color(
                "counter:N",
                title=None,
                scale=alt.Scale(domain=counters, range=cycled(PALETTE, len(counters))),
                legend=alt.Legend(orient="top", columns=6),
            ),
            order="rank:Q",
            tooltip=["strategy:N", "counter:N", "count:Q", "us:Q"],
        )
        .properties(width=WIDTH - 100, height=alt.Step(26))
    )
    return specification(chart, "Work that the worst hold of each strategy consists of")


def index(
    rows: list[Row], labels: Sequence[str], time: str, title: str
) -> dict[str, Any]:
    """Draw a fragmentation index over time: mean of the seeds, and their range."""
    base = alt.Chart().encode(x=alt.X("time:Q", title=time), color=colour(labels))
    band = base.mark_area(opacity=0.15, aria=False, strokeWidth=0).encode(
        y=alt.Y("low:Q", title=f"{title} [1]", scale=alt.Scale(zero=False)),
        y2="high:Q",
    )
    # what stands alone between two gaps is no line
    alone = alt.OverlayMarkDef(size=10, aria=False)
    line = base.mark_line(strokeWidth=2, point=alone).encode(
        y="value:Q",
        strokeDash=dash(labels),
        tooltip=["strategy:N", "order:N", "time:Q", "value:Q"],
    )
    chart = (
        alt.layer(band, line, data=alt.InlineData(values=rows))
        .properties(width=HALF, height=SMALL)
        .facet(alt.Facet("order:N", title=None, sort="ascending"), columns=2)
        .resolve_scale(y="independent")
    )
    return specification(chart, f"{title.capitalize()} over time, by order")


def blocks(rows: list[Row], labels: Sequence[str], time: str) -> dict[str, Any]:
    """Free blocks of each order over time."""
    orders = sorted({row["order"] for row in rows}, reverse=True)
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_rect(aria=False)
        .encode(
            x=alt.X("from:Q", title=time, scale=alt.Scale(nice=False)),
            x2="until:Q",
            y=alt.Y("order:O", sort=orders, title="order"),
            color=alt.Color(
                "blocks:Q",
                title="free blocks",
                scale=alt.Scale(type="symlog", scheme="viridis"),
                legend=alt.Legend(
                    orient="top",
                    gradientLength=400,
                    values=[0, 1, 10, 100, 1000, 10_000],
                ),
            ),
            tooltip=["strategy:N", "time:Q", "order:O", "blocks:Q"],
        )
        .properties(width=THIRD, height=14 * len(orders))
        .facet(alt.Facet("strategy:N", title=None, sort=list(labels)), columns=3)
    )
    return specification(chart, "Free blocks of each order over time, by strategy")


def whole_ticks(values: Sequence[float]) -> alt.Axis:
    """Axis of numbers, without fractions if they have none."""
    if all(value == int(value) for value in values):
        return alt.Axis(tickMinStep=1, format="~d")
    return alt.Axis()


def against(
    rows: list[Row], labels: Sequence[str], path: str, title: str
) -> dict[str, Any]:
    """Draw a figure against a number that is varied, a panel for each other value."""
    base = alt.Chart().encode(
        x=alt.X("at:Q", title=path, axis=whole_ticks([row["at"] for row in rows])),
        color=colour(labels),
        strokeDash=dash(labels),
    )
    line = base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=50)).encode(
        y=alt.Y("value:Q", title=title),
        tooltip=["strategy:N", "rest:N", "at:Q", "value:Q", "low:Q", "high:Q"],
    )
    range_ = base.mark_rule(strokeWidth=1.5, aria=False).encode(
        y=alt.Y("low:Q", title=title), y2="high:Q"
    )
    chart = (
        alt.layer(range_, line, data=alt.InlineData(values=rows))
        .properties(width=HALF, height=SMALL)
        .facet(alt.Facet("rest:N", title=None), columns=2)
    )
    return specification(chart, f"{title} against {path}, for each strategy")
