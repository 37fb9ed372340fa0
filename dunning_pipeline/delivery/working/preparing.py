"""Before claimed sends may leave: a worker judges and renders them and looks for what is another account's."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dunning_pipeline.delivery.judging.digests import accounts_of
from dunning_pipeline.delivery.judging.gate import judge
from dunning_pipeline.delivery.judging.gate_facts import gather
from dunning_pipeline.delivery.judging.leaks import allowed_words, company_words, leaks, words_of
from dunning_pipeline.delivery.judging.recipients import barred_copies
from dunning_pipeline.delivery.judging.verdicts import Verdict, business_day
from dunning_pipeline.delivery.providers.protocol import Answer, Message
from dunning_pipeline.delivery.rendering import document_of
from dunning_pipeline.delivery.working.session import Session
from dunning_pipeline.errors import DunningError
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.findings import raise_finding

MAX_HELD_BYTES = 64_000_000  # of attachments in rendered messages; what is beyond is left for the next claim
JUDGED_FOR_SECONDS = 3.0  # a verdict older than this, or on an older snapshot, is made anew before the request

Row = dict[str, Any]
Ready = list[tuple[Row, Message]]
Failed = list[tuple[Row, Answer, None]]


class Preparing:
    """One per worker. Knows on what, and when, the messages that it holds were judged."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ws = session.ws
        self._of_the_company = company_words(session.ws.company)
        self._statements: dict[str, dict[str, Any]] = {}
        self._judged_at, self._judged_on = float("-inf"), ""
        self.judged_loads = 0  # how many loads the ledger knew then

    def judged(self, rows: Sequence[Row]) -> list[tuple[Row, Verdict]]:
        """The verdicts on all that the worker holds; how fresh they are counts from here. Raises NotThere."""
        # before looking: what is published while we look must count as unseen
        self._judged_at, self._judged_on = time.monotonic(), self._session.facts.stamp()
        verdicts, self.judged_loads = self._look(rows)
        return verdicts

    def looked_at(self, rows: Sequence[Row]) -> list[tuple[Row, Verdict]]:
        """The verdicts on some of them."""
        return self._look(rows)[0]

    def expire(self) -> None:
        """Something changed meanwhile: judge again before the next message leaves."""
        self._judged_at = float("-inf")

    def is_stale(self) -> bool:
        old = time.monotonic() - self._judged_at > JUDGED_FOR_SECONDS
        return old or self._session.facts.stamp() != self._judged_on

    def rendered(self, rows: Sequence[Row]) -> tuple[Ready, Failed]:
        """The messages that may leave, as far as they fit into memory, and those that cannot be made or would leak."""
        ready: Ready = []
        failed: Failed = []
        held = 0
        with reading(self._session.engine) as connection:
            ids = {row["statement_id"] for row in rows if row["statement_id"]}
            self._statements = self._session.renderer.statements_of(connection, ids)
            for row in rows:
                if held > MAX_HELD_BYTES:
                    break
                try:
                    statement = self._statements.get(row["statement_id"] or "")
                    message = self._with_means(row, self._session.renderer.message(connection, row, statement))
                    ready.append((row, message))
                    held += sum(len(one.content) for one in message.attachments)
                except (DunningError, OSError) as error:
                    failed.append((row, Answer("failed", status="not_rendered", detail=str(error)), None))
        clean, leaking = self._without_leaks(ready)
        return clean, failed + leaking

    def _look(self, rows: Sequence[Row]) -> tuple[list[tuple[Row, Verdict]], int]:
        session, company, now = self._session, self._ws.company, self._session.now()
        with reading(session.engine) as connection:
            facts, addresses = gather(connection, session.facts, rows, now=now, company=company)
        verdicts = []
        for row in rows:
            verdict = judge(row, facts, now=now, company=company, send_now=session.send_now, addresses=addresses)
            barred = barred_copies(row, facts, company=company, addresses=addresses) if verdict.action == "go" else {}
            verdicts.append((self._without_copies(row, barred) if barred else row, verdict))
        return verdicts, facts.loads

    def _without_copies(self, row: Row, barred: Mapping[str, str]) -> Row:
        told = ", ".join(f"{address} ({why})" for address, why in barred.items())
        finding = {"kind": "copy_left_out", "object_kind": "send", "object_id": row["send_key"], "severity": "info"}
        at = self._session.now()
        self._session.recorder.post(
            lambda connection: raise_finding(connection, **finding, message=f"leaves without a copy to {told}", at=at)
        )
        kept = {
            part: [one for one in written if one not in barred] if part in ("cc", "bcc") else written
            for part, written in row["recipients"].items()
        }
        return {**row, "recipients": kept}

    def _with_means(self, row: Row, message: Message) -> Message:
        """A payment retry learns here, as late as possible, what it charges."""
        if row["channel"] != "payment_retry":
            return message
        day = business_day(self._session.now(), self._ws.company)
        means = self._session.facts.payment_method(row["account_key"], as_of=day)
        return replace(message, facts={**message.facts, **means})

    def _without_leaks(self, ready: Ready) -> tuple[Ready, Failed]:
        words = [words_of(message, self._printed_document(row, message)) for row, message in ready]
        owners = self._session.owners(set().union(*words) - self._of_the_company)
        clean: Ready = []
        leaking: Failed = []
        for (row, message), said in zip(ready, words, strict=True):
            found = leaks(said, owners, accounts=accounts_of(row))
            if found:
                allowed = allowed_words(row, self._statements.get(row["statement_id"] or ""))
                found = [word for word in found if word not in allowed]
            if found:
                detail = f"names what belongs to another account: {', '.join(found[:5])}"
                leaking.append((row, Answer("failed", status="leak", detail=detail), None))
            else:
                clean.append((row, message))
        return clean, leaking

    def _printed_document(self, row: Row, message: Message) -> dict[str, Any] | None:
        """What an attached PDF was made from."""
        if not message.attachments:
            return None
        return document_of(row, self._statements.get(row["statement_id"] or ""))
