"""Draws the small charts of the catalogue as pictures inside Markdown; nothing is loaded from another host."""

import base64
from collections.abc import Mapping

import dagster as dg


def bars(title: str, counts: Mapping[str, int]) -> dg.MarkdownMetadataValue:
    """A bar per name, with its number."""
    import altair
    import vl_convert

    rows = [{"name": name, "count": count} for name, count in counts.items()]
    base = altair.Chart(altair.Data(values=rows), title=title, width=420, height=24 * len(rows)).encode(
        x=altair.X("count:Q", title=None, axis=altair.Axis(tickMinStep=1)),
        y=altair.Y("name:N", title=None, sort=None),
    )
    labels = base.mark_text(align="left", dx=3).encode(text="count:Q")
    picture = vl_convert.vegalite_to_png((base.mark_bar(color="#2f6f8f") + labels).to_json(), scale=2)
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(picture).decode()})")
