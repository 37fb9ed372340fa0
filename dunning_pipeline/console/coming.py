"""The next steps of an account with their dates: as the last build decided them, while nothing has changed since."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dunning_pipeline.console import published
from dunning_pipeline.settings.workspace import Workspace

# when a row of these tables was made, changed or ended
TOUCHED = ("created_at", "updated_at", "ended_at", "withdrawn_at", "sent_at")


def next_steps(
    workspace: Workspace, account_key: str, record: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any] | None:
    """{day: of the build, steps: see `by_day`}; None where the ledger's rows of the account (`record`, by table) are
    newer than the build, so that only a new decision knows."""
    build = published.first(workspace, "select run_date, published_at from snapshot")
    if build is None:
        return None
    built_at = datetime.fromisoformat(build["published_at"]).replace(tzinfo=UTC)
    # a run on the build's own clock (`dunning daily`) has its very instant
    if any(row.get(name) and row[name] >= built_at for row in _that_count(record) for name in TOUCHED):
        return None
    sql = "select next_on, level, item from next_steps where account_key = ?"
    rows = published.found(workspace, sql, [account_key])
    return {"day": build["run_date"], "steps": by_day((row["next_on"], row["level"], row["item"]) for row in rows)}


def _that_count(record: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterable[Mapping[str, Any]]:
    """Rows on which the next decision depends: no draft, no process that a run only wrote down as the decision had it,
    no note."""
    for table, rows in record.items():
        if table != "notes":
            yield from (row for row in rows if row.get("status") != "draft" and row.get("origin", "manual") == "manual")


def by_day(steps: Iterable[tuple[str, int, str]]) -> list[dict[str, Any]]:
    """Rows {on, level, items} from (ISO day, level, number of the invoice), the soonest first."""
    items: dict[tuple[str, int], list[str]] = {}
    for on, level, item in steps:
        items.setdefault((on, level), []).append(item)
    return [{"on": on, "level": level, "items": sorted(names)} for (on, level), names in sorted(items.items())]
