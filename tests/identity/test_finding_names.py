"""Near names are found by numbers that they have in common: a typo in a family name leaves one of them as it is."""

import random

import duckdb

from dunning_pipeline.identity.steps.names import RELATED_BY, likenesses


def test_every_near_family_name_has_a_number_in_common() -> None:
    chance = random.Random(1)
    families = ["".join(chance.choices("abn", k=length)) for length in (4, 5, 6, 9) for _ in range(25)]
    pairs = [(one, other) for one in families for other in _with_one_typo(one)]
    con = duckdb.connect()
    con.execute(
        "create table pairs (family_a varchar, family_letters_a varchar, family_b varchar, family_letters_b varchar)"
    )
    con.executemany(
        "insert into pairs values (?, ?, ?, ?)", [(a, "".join(sorted(a)), b, "".join(sorted(b))) for a, b in pairs]
    )
    numbers = ", ".join(f"{sql} as {key}" for key, sql in RELATED_BY.items())
    sides = " ".join(
        f", lateral (select {numbers} from (select 'kim' as given, 'kim' as given_root, n.family_{side} as family,"
        f" n.family_letters_{side} as family_letters) as n) as {side}"
        for side in "ab"
    )
    shared = " or ".join(f"a.{key} = b.{key}" for key in RELATED_BY)
    near = likenesses("p.near_family")["near_family"]
    found = con.execute(
        f"select count(*), count(*) filter (where {shared}) from pairs as n{sides} where {near}"
    ).fetchall()

    assert found[0][0] > 1_000
    assert found[0][0] == found[0][1]


def _with_one_typo(name: str) -> set[str]:
    cuts = [(name[:at], name[at:]) for at in range(len(name) + 1)]
    longer = {f"{left}{letter}{right}" for left, right in cuts for letter in "abx"}
    shorter = {f"{left}{right[1:]}" for left, right in cuts if right}
    other = {f"{left}x{right[1:]}" for left, right in cuts if right}
    swapped = {f"{left}{right[1]}{right[0]}{right[2:]}" for left, right in cuts if len(right) > 1}
    return (longer | shorter | other | swapped) - {name}
