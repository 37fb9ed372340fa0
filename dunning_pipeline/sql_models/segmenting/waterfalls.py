"""Turns segments/waterfalls.yml into models: an account is in the first rung that fits, within its limits."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.company import Declared
from dunning_pipeline.settings.yaml_files import position, read_yaml, validated

RANKED_BY = "unified_account_overview"  # the model whose columns rank and group

ColumnName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]
Order = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*( (asc|desc))?$")]


class GroupLimit(Declared):
    group: ColumnName
    limit: Annotated[int, Field(ge=1)]


class Rung(Declared):
    segment: str
    limit: Annotated[int, Field(ge=1)] | None = None
    limit_per_group: GroupLimit | None = None
    rank_by: tuple[Order, ...] = ()


class Waterfall(Declared):
    waterfall: ColumnName
    description: str = ""
    owner: str | None = None
    rungs: tuple[Rung, ...] = Field(min_length=1)


class Waterfalls(Declared):
    waterfalls: tuple[Waterfall, ...] = ()


def load_waterfalls(file: Path) -> list[Waterfall]:
    """The declared waterfalls, none where the file is missing; raises InvalidDeclaration with line and column."""
    if not file.is_file():
        return []
    tree = read_yaml(file)
    found = validated(Waterfalls, tree, file).waterfalls
    for number, waterfall in enumerate(found):
        names = [rung.segment for rung in waterfall.rungs]
        for at, name in enumerate(names):
            if name in names[:at]:
                line, column = position(tree, ("waterfalls", number, "rungs", at, "segment"))
                raise InvalidDeclaration(f"{name!r} is a rung already", file=file, line=line, column=column)
    return list(found)


def waterfall_template(waterfall: Waterfall) -> str:
    """The waterfall as a model: unified_account_id, segment, rung (from 1), position within the rung (from 1)."""
    return (
        f"-- {waterfall.description}\n-- Owner: {waterfall.owner or 'collections'}. "
        "Grain: one row per unified_account_id. Kind: waterfall.\n"
        f"with\n\naccounts as (\n\n    select * from {{{{ ref('{RANKED_BY}') }}}}\n\n),\n\n"
        + rung_steps(waterfall.rungs)
    )


def rung_steps(rungs: tuple[Rung, ...]) -> str:
    """The steps after `accounts`, and the final select."""
    steps = []
    for number, rung in enumerate(rungs, 1):
        steps.append(f"rung_{number} as (\n\n{_rung(rung, number)}\n\n)")
        before = f"    select unified_account_id from taken_{number - 1}\n    union all\n" if number > 1 else ""
        steps.append(
            f"taken_{number} as (\n\n{before}    select unified_account_id from rung_{number} where is_within\n\n)"
        )
    chosen = "\n    union all\n".join(
        f"    select unified_account_id, '{rung.segment}' as segment, {number} as rung, position "
        f"from rung_{number} where is_within"
        for number, rung in enumerate(rungs, 1)
    )
    return ",\n\n".join(steps) + f",\n\nmembers as (\n\n{chosen}\n\n)\n\nselect * from members\n"


def _rung(rung: Rung, number: int) -> str:
    order = ", ".join([*(f"accounts.{column} nulls last" for column in rung.rank_by), "members.unified_account_id"])
    inside = "true"
    if rung.limit is not None:
        inside = f"row_number() over (order by {order}) <= {rung.limit}"
    if rung.limit_per_group is not None:
        group = rung.limit_per_group
        window = f"partition by accounts.{group.group} order by {order}"
        inside += f"\n            and row_number() over ({window}) <= {group.limit}"
    taken = f"    anti join taken_{number - 1} as taken on taken.unified_account_id = members.unified_account_id\n"
    return (
        "    select\n        members.unified_account_id,\n"
        f"        row_number() over (order by {order}) as position,\n        {inside} as is_within\n"
        f"    from {{{{ ref('{rung.segment}') }}}} as members\n"
        f"    inner join accounts on accounts.unified_account_id = members.unified_account_id\n"
        + (taken if number > 1 else "")
    ).rstrip()
