"""The daily path: ingest → build → dunning run → close what is automatic → queue; run by the command and Dagster."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date as Date
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dunning_pipeline.errors import Busy, Refused
from dunning_pipeline.settings.workspace import Workspace

if TYPE_CHECKING:
    from dunning_pipeline.campaigns.running import CampaignReport
    from dunning_pipeline.sql_models.building import BuildReport

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many

# A daily path that begins this long after the send hour is late, not early: its messages leave the same morning.
MORNING_HOURS = 5


@dataclass
class DailyReport:
    """What one day did; `problems` says what a person should look at, one sentence each."""

    date: Date
    loads: list[Any] = field(default_factory=list)
    build: "BuildReport | None" = None
    runs: list[Any] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)  # statement ids
    queued: list[str] = field(default_factory=list)  # send keys
    claimed: dict[str, int] = field(default_factory=dict)  # campaign → drafts that wait for it
    campaigns: "list[CampaignReport]" = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """False where a step did not run at all, because what it needs failed."""
        return self.build is not None and self.build.withheld is None and bool(self.runs)

    def left_out(self) -> dict[str, int]:
        """Reason → items that are owed and not dunned, over all runs of the day, most first."""
        counts: Counter[str] = Counter()
        for run in self.runs:
            counts.update(run.left_out)
        return dict(counts.most_common())


def daily(
    ws: Workspace, *, date: Date, now: datetime, actor: str = "daily", progress: Progress | None = None
) -> DailyReport:
    """Everything that the daily schedule does, up to the queue, as of `date`; repeating it changes nothing.

    A missed day needs no run of its own: this one catches up what it would have said. A process, a campaign or a
    statement that fails is reported in `problems` and stops no other. Where the build withholds its snapshot nothing
    is decided: yesterday's payments would dun what was paid today. Raises Busy where another run is going on.
    """
    from dunning_pipeline.data_streams import ingest
    from dunning_pipeline.sql_models.building import build

    report = DailyReport(date)
    _say(progress, "reading the data streams")
    report.loads = list(ingest(ws, now=now, progress=progress))
    report.problems += [problem for load in report.loads for problem in _load_problems(load)]
    _say(progress, "building the models")
    report.build = build(ws, run_date=date, now=now, progress=progress)
    report.problems += _build_problems(report.build)
    if report.build.withheld:
        return report
    _say(progress, "deciding who is to be reminded")
    report.runs = run_processes(ws, date=date, now=now, actor=actor, problems=report.problems, progress=progress)
    close_and_queue(ws, report, now=now, actor=actor, progress=progress)
    return report


def close_and_queue(
    ws: Workspace, report: DailyReport, *, now: datetime, actor: str, progress: Progress | None = None
) -> None:
    """Close the automatic drafts that no campaign claims, queue them, then run the campaigns that are due."""
    _say(progress, "closing what needs no review")
    report.closed = close_automatic(ws, report, now=now, actor=actor, progress=progress)
    _say(progress, "queueing")
    report.queued = queue_closed(ws, now=now, actor=actor, problems=report.problems)
    _say(progress, "campaigns")
    report.campaigns = run_campaigns(ws, now=now, actor=actor, problems=report.problems)


def run_campaigns(ws: Workspace, *, now: datetime, actor: str, problems: list[str]) -> "list[CampaignReport]":
    """Run the campaigns whose time has come and that have not run for it yet."""
    from dunning_pipeline.campaigns.running import run_due

    return run_due(ws, now=now, actor=actor, problems=problems)


def run_processes(
    ws: Workspace,
    *,
    date: Date,
    now: datetime,
    actor: str,
    problems: list[str],
    processes: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> list[Any]:
    """One dunning run over all processes; where it fails, one for each process, so that only the broken one is missing.

    Returns the run reports. Raises Busy where a run is going on already: the second one changes nothing.
    """
    from dunning_pipeline.dunning.processes import load_processes
    from dunning_pipeline.dunning.scope import Scope
    from dunning_pipeline.statements.runs import run

    def one(process: str | None) -> Any:
        scope = Scope(process=process)
        return run(ws, dunning_date=date, now=now, scope=scope, actor=actor, progress=progress)

    if processes is None:
        try:
            decided = [one(None)]
            if older := _older_models(ws):
                problems.append(f"decided with the models of an earlier version: {older}")
            return decided
        except Busy:
            raise
        except Refused as error:  # a date that is over: so it is for each process
            problems.append(_sentence(error))
            return []
        except Exception as error:
            if _is_about_tables(error) and (older := _older_models(ws)):
                problems.append(f"nothing was decided: {older}")
                return []
            problems.append(f"the run over all processes failed, each is tried by itself: {_sentence(error)}")
            processes = list(load_processes(ws))
    reports = []
    for process in processes:
        try:
            reports.append(one(process))
        except Busy:
            raise
        except Exception as error:
            problems.append(f"process {process}: {_sentence(error)}")
    return reports


def close_automatic(
    ws: Workspace,
    report: DailyReport,
    *,
    now: datetime,
    actor: str,
    include_review: bool = False,
    progress: Progress | None = None,
) -> list[str]:
    """Close the drafts of the day that need no review and are not claimed by a campaign; ids of the closed ones."""
    from dunning_pipeline.campaigns.claims import claims_of
    from dunning_pipeline.ledger.engine import open_ledger, reading
    from dunning_pipeline.ledger.reading import list_statements

    with reading(open_ledger(ws)) as connection:
        drafts = list_statements(connection, status="draft", kind="dunning", date=report.date, held=False)
    drafts = [row for row in drafts if include_review or row["approval"] == "automatic"]
    claimed = claims_of(ws, drafts, problems=report.problems)
    for campaign in claimed.values():
        report.claimed[campaign] = report.claimed.get(campaign, 0) + 1
    ids = [row["statement_id"] for row in drafts if row["statement_id"] not in claimed]
    return close_each(ws, ids, now=now, actor=actor, problems=report.problems, progress=progress)


def close_each(
    ws: Workspace,
    ids: Sequence[str],
    *,
    now: datetime,
    actor: str,
    problems: list[str],
    progress: Progress | None = None,
) -> list[str]:
    """Close the drafts; one that is refused or fails is a problem of its own. Ids of those that are closed now."""
    from dunning_pipeline.statements.closing import close

    closed: list[str] = []
    refused: Counter[str] = Counter()

    def attempt(some: Sequence[str], say: Progress | None) -> None:
        report = close(ws, some, now=now, actor=actor, progress=say)
        closed.extend(report.closed)
        refused.update(report.refused.values())

    if not ids:
        return []
    try:
        attempt(ids, progress)
    except Exception as whole:
        problems.append(f"closing was interrupted, each is closed by itself: {_sentence(whole)}")
        for statement_id in ids:
            try:
                attempt([statement_id], None)
            except Exception as error:
                refused[_sentence(error)] += 1
    problems += [f"{count} drafts stay drafts: {reason}" for reason, count in refused.most_common()]
    return closed


def queue_closed(ws: Workspace, *, now: datetime, actor: str, problems: list[str]) -> list[str]:
    """Queue every automatic statement that is closed and has no send yet; the keys of the new sends.

    What an interrupted day closed and did not queue is found here too. A statement that a campaign closed is that
    campaign's to queue.
    """
    from dunning_pipeline.delivery.queue import queue_statement
    from dunning_pipeline.ledger.engine import open_ledger

    engine = open_ledger(ws)
    due_at = due_time(ws, now)
    keys: list[str] = []
    for statement in _unqueued(ws):
        try:
            with engine.begin() as connection:
                keys += queue_statement(connection, ws, statement=statement, now=now, due_at=due_at, actor=actor)
        except Exception as error:
            problems.append(f"statement {statement['number']} is closed and not queued: {_sentence(error)}")
    return keys


def in_doubt(ws: Workspace) -> int:
    """How many messages may or may not have left, of whichever day, and wait for an event or a person to tell."""
    from sqlalchemy import func, select

    from dunning_pipeline.ledger.engine import open_ledger, reading
    from dunning_pipeline.ledger.schema import sends

    with reading(open_ledger(ws)) as connection:
        return connection.scalar(select(func.count()).where(sends.c.status == "unknown")) or 0


def due_time(ws: Workspace, now: datetime) -> datetime:
    """When the day's messages leave: at the send hour on an open day; at once where that hour has just begun.

    The schedule begins at the send hour itself: without the morning's grace its messages would wait for the next day,
    and the next day's run would replace them unsent.
    """
    from dunning_pipeline.delivery.judging.hours import next_send_time

    company = ws.company
    hour = now.astimezone(company.zone).replace(hour=company.send_hour, minute=0, second=0, microsecond=0)
    start = hour if hour <= now < hour + timedelta(hours=MORNING_HOURS) else now
    return next_send_time(start, zone=company.zone, hour=company.send_hour, calendar=company.holidays)


def _unqueued(ws: Workspace) -> list[dict[str, Any]]:
    from sqlalchemy import exists, select

    from dunning_pipeline.campaigns.claims import claims_of
    from dunning_pipeline.ledger.engine import open_ledger, reading
    from dunning_pipeline.ledger.schema import sends, statements

    s = statements.c
    with reading(open_ledger(ws)) as connection:
        rows = connection.execute(
            select(statements)
            .where(s.status == "closed", s.kind == "dunning", s.approval == "automatic", ~s.do_not_send)
            .where(~exists().where(sends.c.statement_id == s.statement_id))
            .order_by(s.number)
        ).all()
    found = [dict(row._mapping) for row in rows]
    claimed = claims_of(ws, found)
    return [row for row in found if row["statement_id"] not in claimed]


def _load_problems(load: Any) -> list[str]:
    name = f"{load.source} {load.object}"
    problems = []
    if getattr(load, "error", None):
        problems.append(f"{name} was not read, what was there stays: {load.error}")
    if load.rows_rejected:
        problems.append(f"{name}: {load.rows_rejected} of {load.rows_read} rows rejected, see {load.reject_file}")
    if load.doubt:
        problems.append(f"{name}: {load.doubt}")
    return problems


def _build_problems(build: "BuildReport") -> list[str]:
    problems = [f"model {m.key}: {m.error}" for m in build.models if m.status == "failed"]
    if build.withheld:
        problems.append(f"nothing was decided: {build.withheld}")
    return problems


def _is_about_tables(error: Exception) -> bool:
    from duckdb import BinderException, CatalogException

    return isinstance(error, (BinderException, CatalogException))  # a table, a column that is not there


def _older_models(ws: Workspace) -> str:
    """What to say of a workspace that keeps the models of an older version; empty where nothing tells that it does."""
    from dunning_pipeline.sql_models.folder.shipped import unlike_shipped

    unlike = unlike_shipped(ws)
    lacks = "lacks " + ", ".join(file.as_posix() for file in unlike.missing)
    keeps = f"keeps {len(unlike.older)} models that nobody edited"
    said = " and ".join([lacks] * bool(unlike.missing) + [keeps] * bool(unlike.older))
    return said and (
        f"dbt_like_sql is older than this version and {said}\n"
        "  → copy them, and what they read, from a fresh `dunning init FOLDER`; `dunning doctor` names what differs"
    )


def _sentence(error: Exception) -> str:
    from dunning_pipeline.ledger.troubles import in_words

    told = in_words(error)
    return str(told) if told is not None else f"{type(error).__name__}: {error}"


def _say(progress: Progress | None, what: str) -> None:
    if progress is not None:
        progress(what, 0, 0)
