"""Lists over a million rows: filters bound as parameters, sort by named columns, one page at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from dunning_pipeline.console.desk import Desk, as_rows

PAGE_SIZE = 50
COUNT_LIMIT = 10_000


@dataclass(frozen=True)
class Listing:
    rows: Sequence[Mapping[str, Any]]
    page: int
    has_more: bool
    count: int
    is_count_capped: bool  # the true count is above `count`; nobody waits for a count of a million rows


def listed(
    desk: Desk,
    connection: Connection,
    query: Select[Any],
    *,
    sorts: Mapping[str, ColumnElement[Any] | tuple[ColumnElement[Any], ...]],
    default_sort: str,
    tie: ColumnElement[Any],
) -> Listing:
    """One page of `query`, sorted by ?sort=name or ?sort=-name (an unknown name sorts by the default)."""
    asked = desk.asked("sort", default_sort)
    name = asked.lstrip("-")
    if name not in sorts:
        asked, name = default_sort, default_sort.lstrip("-")
    column = sorts[name]
    page = max(1, desk.whole(desk.asked("page"), most=2_000) or 1)
    is_down = asked.startswith("-")
    columns = (*(column if isinstance(column, tuple) else (column,)), tie)
    # all in one direction, as an index of these columns can be read
    ordered = query.order_by(*(one.desc() if is_down else one.asc() for one in columns))
    rows = as_rows(connection.execute(ordered.limit(PAGE_SIZE + 1).offset((page - 1) * PAGE_SIZE)))
    capped = query.with_only_columns(tie).limit(COUNT_LIMIT + 1).subquery()
    count = connection.execute(select(func.count()).select_from(capped)).scalar_one()
    return Listing(rows[:PAGE_SIZE], page, len(rows) > PAGE_SIZE, min(count, COUNT_LIMIT), count > COUNT_LIMIT)
