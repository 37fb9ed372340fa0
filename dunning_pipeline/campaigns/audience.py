"""Who a campaign is for: the members of its segment or waterfall, and those of them that are held out on purpose."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal

from dunning_pipeline.campaigns.declaration import Campaign
from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace


def members(ws: Workspace, campaign: Campaign) -> dict[str, str]:
    """Unified account → the segment that it is in; in a waterfall the first that fits. Read from the snapshot.

    Raises NotThere where a segment is not published.
    """
    from dunning_pipeline.sql_models.reading import read_query

    found: dict[str, str] = {}
    published = {row["table_name"] for row in read_query(ws, _PUBLISHED).rows()}
    for name in campaign.segments:
        if name not in published:
            raise NotThere(f"the segment {name!r} is not published", remedy="run `dunning build` and see what it says")
        for row in read_query(ws, f'select distinct unified_account_id from segments."{name}" order by 1').rows():
            found.setdefault(row["unified_account_id"], name)
    return found


_PUBLISHED = "select table_name from duckdb_tables() where schema_name = 'segments'"


def is_held_out(campaign: str, unified_account_id: str, share: Decimal) -> bool:
    """Whether an account is in the control group: the same answer for every occurrence, on every machine.

    The share is of all accounts that ever come, so it is met in the long run and not exactly in each occurrence.
    """
    digest = hashlib.sha256(f"{campaign}\n{unified_account_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < int(share * 2**64)


def split(campaign: Campaign, audience: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The accounts that are written to, and those that are held out; both in order."""
    out = [one for one in sorted(audience) if is_held_out(campaign.campaign, one, campaign.hold_out)]
    return [one for one in sorted(audience) if one not in set(out)], out
