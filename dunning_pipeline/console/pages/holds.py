"""What a person records about an account: blocks, promises, postponed due dates, another process, notes."""

from datetime import date
from typing import Any

from sqlalchemy import Select, or_, select
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import published
from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.console.noting import write_note
from dunning_pipeline.console.pages.accounts import account_path, account_row
from dunning_pipeline.console.pages.processes import declared_processes
from dunning_pipeline.console.typed import typed_amount, typed_day, typed_day_or_none
from dunning_pipeline.dunning.processes import load_processes
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import assignments, blocks, postponements, promises
from dunning_pipeline.statements import assigning, cases
from dunning_pipeline.statements.booking import charges

NOTE_LENGTH = 4_000


@allowed("collector")
def show_holds(desk: Desk) -> Response:
    account = account_row(desk, desk.request.path_params["account_key"])
    key = account["account_key"]
    groups = published.found(
        desk.workspace, "select bill_group_key, name from bill_groups where account_key = ?", [key]
    )
    items = published.found(
        desk.workspace,
        "select invoice_key, invoice_number, instalment, currency, open_amount from open_items "
        "where account_key = ? order by due_date, invoice_number",
        [key],
    )
    targets = [key, *(g["bill_group_key"] for g in groups), *(i["invoice_key"] for i in items)]
    with reading(desk.engine) as connection:
        in_force = as_rows(
            connection.execute(blocks.select().where(blocks.c.target_key.in_(targets), blocks.c.ended_at.is_(None)))
        )
        promised = as_rows(
            connection.execute(
                promises.select().where(promises.c.account_key == key, promises.c.withdrawn_at.is_(None))
            )
        )
        later = as_rows(
            connection.execute(
                postponements.select().where(
                    postponements.c.invoice_key.in_(targets), postponements.c.ended_at.is_(None)
                )
            )
        )
        assigned = as_rows(connection.execute(_by_hand(key, desk.today)))
        owed = [charge.as_json() for charge in charges.list_charges(connection, account=key, only_owed=True)]
    processes, error = declared_processes(desk)
    return desk.page(
        "holds.html",
        error=error,
        account=account,
        groups=groups,
        items=items,
        blocks=in_force,
        promises=promised,
        postponements=later,
        assigned=assigned,
        numbers={item["invoice_key"]: item["invoice_number"] for item in items},
        charges=owed,
        processes=sorted(processes),
    )


@allowed("collector")
def block(desk: Desk) -> Response:
    account = account_row(desk, desk.request.path_params["account_key"])
    scope, _, target = desk.typed("target").partition("|")
    with desk.engine.begin() as connection:
        cases.block(
            connection,
            scope=scope or "account",
            target_key=_of_account(desk, account, target or account["account_key"]),
            kind=desk.typed("kind", "block"),
            reason=desk.typed("reason"),
            valid_from=typed_day_or_none(desk, "valid_from") or desk.today,
            valid_to=typed_day_or_none(desk, "valid_to"),
            actor=desk.user.login,
            now=desk.now,
        )
    return _back(desk, account, "Blocked.")


@allowed("collector")
def unblock(desk: Desk) -> Response:
    account = account_row(desk, desk.request.path_params["account_key"])
    with reading(desk.engine) as connection:
        row = connection.execute(blocks.select().where(blocks.c.block_id == desk.typed("block_id"))).mappings().first()
    if row is None:
        raise HTTPException(404, "there is no such block")
    _of_account(desk, account, row["target_key"])
    with desk.engine.begin() as connection:
        cases.unblock(
            connection, row["block_id"], reason=desk.typed("reason") or "-", actor=desk.user.login, now=desk.now
        )
    return _back(desk, account, "The block has ended. Nothing is sent at once: the next run decides.")


@allowed("collector")
def promise(desk: Desk) -> Response:
    account = account_row(desk, desk.request.path_params["account_key"])
    invoice = desk.typed("invoice_key") or None
    currency = desk.typed("currency").upper() or None
    with desk.engine.begin() as connection:
        cases.promise(
            connection,
            account_key=account["account_key"],
            invoice_key=_of_account(desk, account, invoice) if invoice else None,
            promised_for=typed_day(desk, "promised_for"),
            promised_on=desk.today,
            amount_minor=typed_amount(desk, "amount", currency),
            currency=currency if desk.typed("amount") else None,
            note=desk.typed("note") or None,
            actor=desk.user.login,
            now=desk.now,
        )
    return _back(desk, account, "The promise is recorded.")


@allowed("collector")
def withdraw(desk: Desk) -> Response:
    account = account_row(desk, desk.request.path_params["account_key"])
    wanted = promises.select().where(promises.c.promise_id == desk.typed("promise_id"))
    with desk.engine.begin() as connection:
        row = connection.execute(wanted).mappings().first()
        if row is None or row["account_key"] != account["account_key"]:
            raise HTTPException(404, "there is no such promise")
        reason = desk.typed("reason")
        cases.withdraw_promise(connection, row["promise_id"], reason=reason, actor=desk.user.login, now=desk.now)
    return _back(desk, account, "Withdrawn.")


@allowed("collector")
def postpone(desk: Desk) -> Response:
    account = account_row(desk, desk.request.path_params["account_key"])
    with desk.engine.begin() as connection:
        cases.postpone(
            connection,
            invoice_key=_of_account(desk, account, desk.typed("invoice_key")),
            postponed_to=typed_day(desk, "postponed_to"),
            created_on=desk.today,
            reason=desk.typed("reason"),
            actor=desk.user.login,
            now=desk.now,
        )
    return _back(desk, account, "The due date is postponed.")


@allowed("collector")
def assign(desk: Desk) -> Response:
    account = account_row(desk, desk.request.path_params["account_key"])
    with desk.engine.begin() as connection:
        assigning.assign(
            connection,
            bill_group_key=_of_account(desk, account, desk.typed("bill_group_key") or account["account_key"]),
            account_key=account["account_key"],
            process=desk.typed("process"),
            known_processes=set(load_processes(desk.workspace)),
            reason=desk.typed("reason"),
            valid_from=desk.today,
            valid_to=typed_day_or_none(desk, "valid_to"),
            actor=desk.user.login,
            now=desk.now,
        )
    return _back(desk, account, "Assigned.")


@allowed("collector")
def end_assignment(desk: Desk) -> Response:
    account = account_row(desk, desk.request.path_params["account_key"])
    if not desk.typed("reason"):
        raise InvalidInput("a reason is needed", remedy="say why it ends")
    with desk.engine.begin() as connection:
        ended = assigning.end_assignment(
            connection,
            bill_group_key=_of_account(desk, account, desk.typed("bill_group_key")),
            on=desk.today,
            reason=desk.typed("reason"),
            actor=desk.user.login,
            now=desk.now,
        )
    if not ended:
        raise HTTPException(404, "nothing is assigned by hand here")
    return _back(desk, account, "Ended; the former process counts again.")


def _by_hand(account_key: str, today: date) -> Select[Any]:
    """Assignments of an account by hand that are in force or to come."""
    a = assignments.c
    still = or_(a.valid_to.is_(None), a.valid_to >= today)
    return select(assignments).where(a.account_key == account_key, a.origin == "manual", still).order_by(a.created_at)


@allowed("collector")
def add_note(desk: Desk) -> Response:
    account = account_row(desk, desk.request.path_params["account_key"])
    body = desk.typed("body")
    if not body or len(body) > NOTE_LENGTH:
        raise InvalidInput(f"a note has 1 to {NOTE_LENGTH} characters", remedy="shorten it")
    with desk.engine.begin() as connection:
        note_id = write_note(desk, connection, "account", account["account_key"], body)
        desk.record("note.add", "account", account["account_key"], after={"note_id": note_id}, connection=connection)
    return desk.go(account_path(account["account_key"]), desk.wording.text("The note is added."))


def _of_account(desk: Desk, account: dict[str, Any], key: str) -> str:
    """`key` where it is the account, one of its bill groups or one of its invoices; 404 otherwise."""
    owned = published.first(
        desk.workspace,
        """select 1 from invoices where invoice_key = :key and account_key = :account
        union all select 1 from bill_groups where bill_group_key = :key and account_key = :account""",
        {"key": key, "account": account["account_key"]},
    )
    if key != account["account_key"] and owned is None:
        raise HTTPException(404, "the account has no such bill group or invoice")
    return key


def _back(desk: Desk, account: dict[str, Any], said: str) -> Response:
    return desk.go(f"{account_path(account['account_key'])}/holds", desk.wording.text(said))


_ONE = "/accounts/{account_key:path}"
routes = [
    Route(f"{_ONE}/holds", show_holds),
    Route(f"{_ONE}/block", block, methods=["POST"]),
    Route(f"{_ONE}/unblock", unblock, methods=["POST"]),
    Route(f"{_ONE}/promise", promise, methods=["POST"]),
    Route(f"{_ONE}/withdraw", withdraw, methods=["POST"]),
    Route(f"{_ONE}/postpone", postpone, methods=["POST"]),
    Route(f"{_ONE}/assign", assign, methods=["POST"]),
    Route(f"{_ONE}/assignment-end", end_assignment, methods=["POST"]),
    Route(f"{_ONE}/notes", add_note, methods=["POST"]),
]
