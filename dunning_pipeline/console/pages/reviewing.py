"""Pairs of records that a rule would join and a person may decide; what was decided, and how it is taken back."""

import json

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.listing import PAGE_SIZE
from dunning_pipeline.console.pages.profiles import profile_path, resolved
from dunning_pipeline.console.pairs import KINDS, seen_pairs, standing, waiting
from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.identity.decisions import list_decisions, withdraw_decision
from dunning_pipeline.identity.explaining import WHY_NOT, shared_by
from dunning_pipeline.identity.reviewing import take_labels


@allowed("viewer")
def list_pairs(desk: Desk) -> Response:
    con = resolved(desk)
    kind = desk.asked("kind") if desk.asked("kind") in KINDS else None
    page = max(1, desk.whole(desk.asked("page"), most=2_000) or 1)
    decided = list_decisions(desk.engine)
    pairs = waiting(desk, con, decided, kind=kind, rule=desk.asked("rule"), page=page)
    decisions = standing(desk, con, decided)
    return desk.page(
        "profiles.html", pairs=pairs.rows, count=pairs.count, page=page, kinds=KINDS, rules=pairs.rules,
        has_more=pairs.has_more(page), decisions=decisions[:PAGE_SIZE], more=len(decisions) > PAGE_SIZE,
        shared=shared_by, why_not=WHY_NOT,
    )  # fmt: skip


@allowed("collector")
def decide(desk: Desk) -> Response:
    """Say of the ticked pairs whether the two are one; it counts from the next build on."""
    con, same, reason = resolved(desk), desk.typed("same"), desk.typed("reason") or None
    pairs = [_pair(str(value)) for value in desk.form.getlist("pair")]
    if not pairs:
        raise InvalidInput("nothing is selected", remedy="tick pairs first")
    if same not in ("yes", "no"):
        raise InvalidInput("say whether they are the same", remedy="choose one of the two buttons")
    rows = [
        {"line": line, "party_kind": kind, "left_record": left, "right_record": right, "same": same}
        for line, (kind, left, right) in enumerate(pairs, start=1)
    ]
    if len(seen_pairs(desk, con, rows)) < len(rows):
        raise HTTPException(404, "there is no such record")
    taken = take_labels(con, desk.engine, rows, kind=None, reason=reason, actor=desk.user.login, at=desk.now)
    if taken.refused:
        told = [why.partition("\n")[0] for why in taken.refused.values()]
        if desk.user.row_scope is not None:  # the decisions that it names may be about others' records
            told = [why.partition(": ")[0] for why in told]
        raise Refused(
            f"{len(taken.decided)} pairs are decided, {len(told)} are not: {' · '.join(dict.fromkeys(told))}",
            remedy="`dunning profile withdraw DECISION` takes one of them back",
        )
    one, many = (
        "The pair is decided. It counts from the next build on.",
        "{n} pairs are decided. It counts from the next build on.",
    )
    return _back(desk, desk.wording.text(one if len(pairs) == 1 else many, n=len(pairs)))


def _pair(value: str) -> tuple[str, str, str]:
    """(kind, left, right) of a box that somebody ticked."""
    try:
        kind, left, right = json.loads(value)
    except ValueError:
        raise InvalidInput("this is no pair of records", value=value) from None
    if kind not in KINDS or not isinstance(left, str) or not isinstance(right, str):
        raise InvalidInput("this is no pair of records", value=value)
    return kind, left, right


@allowed("collector")
def withdraw(desk: Desk) -> Response:
    decision, reason = desk.typed("decision_id"), desk.typed("reason") or None
    if all(row["decision_id"] != decision for row in standing(desk, resolved(desk), list_decisions(desk.engine))):
        raise NotThere("no standing decision has this id", remedy="somebody may have taken it back already")
    withdraw_decision(desk.engine, decision, reason=reason, actor=desk.user.login, at=desk.now)
    return _back(desk, desk.wording.text("The decision is taken back. It counts until the next build."))


def _back(desk: Desk, notice: str) -> Response:
    return desk.go(profile_path(desk.typed("back")) if desk.typed("back") else "/profiles", notice)


routes = [
    Route("/profiles", list_pairs),
    Route("/profiles/decide", decide, methods=["POST"]),
    Route("/profiles/withdraw", withdraw, methods=["POST"]),
]
