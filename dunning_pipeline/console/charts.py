"""Charts of the reports as SVG, drawn on the server by Altair, so that no page needs a script or another host."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

Rows = Sequence[Mapping[str, Any]]
LOCALES: dict[str, Any] = {"en": "en-US", "de": "de-DE"}
BLUE, GREEN, ORANGE, RED = "#24506b", "#3c7a57", "#b2701d", "#a3262a"


def draw(
    build: Callable[[Rows, Callable[..., str]], Any], rows: Rows, text: Callable[..., str], *, language: str
) -> str:
    """The SVG of `build(rows, text)`, numbers and months as the language writes them; the same rows are drawn once."""
    chart = build(rows, text).configure(font="Noto Sans, system-ui, sans-serif")
    return _svg(chart.to_json(), LOCALES.get(language, "en-US"))


@lru_cache(maxsize=64)
def _svg(specification: str, locale: Any) -> str:
    import vl_convert

    return vl_convert.vegalite_to_svg(orjson.loads(specification), format_locale=locale, time_format_locale=locale)


def _chart(rows: Rows, width: int = 640, height: int = 260) -> Any:
    import altair

    plain = [{key: float(v) if _is_number(v) else str(v) for key, v in row.items() if v is not None} for row in rows]
    return altair.Chart(altair.Data(values=plain), width=width, height=height)


def _is_number(value: Any) -> bool:
    from decimal import Decimal

    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def ageing(rows: Rows, text: Callable[..., str]) -> Any:
    """Open principal by age bucket, one panel per currency (amounts of two currencies are never added)."""
    named = [
        {
            "bucket": text("not yet due") if r["from_days"] is None else f"{r['from_days']}–{r['to_days'] or ''}",
            "order": -1 if r["from_days"] is None else r["from_days"],
            "amount": r["amount"],
            "currency": r["currency"],
        }
        for r in rows
    ]
    return (
        _chart(named, width=150, height=220)
        .mark_bar(color=BLUE)
        .encode(
            x={"field": "bucket", "type": "nominal", "sort": {"field": "order"}, "title": text("days overdue")},
            y={"field": "amount", "type": "quantitative", "title": text("open")},
        )
        .facet(column={"field": "currency", "type": "nominal", "title": None})
        .resolve_scale(y="independent")
    )


def recovery(rows: Rows, text: Callable[..., str]) -> Any:
    """Share of the reminded principal that was paid after, by process and level."""
    named = [
        {
            "step": f"{r['process']} {r['level']} {r['currency']}",
            "share": 100 * r["recovered_amount"] / r["reminded_amount"] if r["reminded_amount"] else 0,
        }
        for r in rows
    ]
    return (
        _chart(named)
        .mark_bar(color=GREEN)
        .encode(
            x={"field": "share", "type": "quantitative", "title": text("recovered, %"), "scale": {"domain": [0, 100]}},
            y={"field": "step", "type": "nominal", "title": None, "sort": None},
        )
    )


def lines(x: str, y: str, series: str) -> Callable[[Rows, Callable[..., str]], Any]:
    """A line of `y` over `x` for each value of `series`."""

    def build(rows: Rows, text: Callable[..., str]) -> Any:
        return (
            _chart(rows)
            .mark_line(point=True)
            .encode(
                x={"field": x, "type": "temporal", "title": None},
                y={"field": y, "type": "quantitative", "title": text(y.replace("_", " "))},
                color={"field": series, "type": "nominal", "title": None},
            )
        )

    return build


def parts(x: str, columns: Sequence[str], kind: str = "nominal") -> Callable[[Rows, Callable[..., str]], Any]:
    """Stacked bars: the counts of `columns` for each `x`."""

    def build(rows: Rows, text: Callable[..., str]) -> Any:
        long = [{"x": str(r[x])[:10], "part": text(c.replace("_", " ")), "n": r[c] or 0} for r in rows for c in columns]
        return (
            _chart(long)
            .mark_bar()
            .encode(
                x={"field": "x", "type": kind, "title": text(x.replace("_", " "))},
                y={"field": "n", "type": "quantitative", "title": None, "aggregate": "sum"},
                color={"field": "part", "type": "nominal", "title": None},
            )
        )

    return build


def bars(x: str, y: str, series: str) -> Callable[[Rows, Callable[..., str]], Any]:
    """Bars of `y` beside each other for each value of `series`, grouped by `x`."""

    def build(rows: Rows, text: Callable[..., str]) -> Any:
        return (
            _chart(rows)
            .mark_bar()
            .encode(
                x={"field": x, "type": "nominal", "title": None},
                xOffset={"field": series, "type": "nominal"},
                y={"field": y, "type": "quantitative", "title": text(y.replace("_", " "))},
                color={"field": series, "type": "nominal", "title": text(series.replace("_", " "))},
            )
        )

    return build
