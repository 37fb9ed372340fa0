"""`dunning profile`: unified profiles, why records are one party, what waits for a decision, and the validation kit."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import csv
import getpass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dunning_pipeline.cli.output import Format, FormatOption, WorkspaceOption, open_workspace, print_json, show

app = typer.Typer(no_args_is_help=True, help="Unified profiles: show, explain, review, decide, validate.")


class Kind(StrEnum):
    account = "account"
    individual = "individual"


class Verdict(StrEnum):
    same = "same"
    different = "different"


KindOption = Annotated[Kind, typer.Option("--kind", help="account or individual.")]


@app.command("show")
def show_profile(name: str, workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """One profile: its fields, source records, contact points and id history. NAME: a unified id or a source record."""
    from dunning_pipeline.identity.explaining import profile

    with _snapshot(workspace) as con:
        found = profile(con, name)
    if form is Format.json:
        print_json(found)
        return
    lists = ("records", "contact_points", "events")
    show([{"field": k, "value": v} for k, v in found.items() if k not in lists and v is not None], form)
    if form is Format.table:
        for part in lists:
            show(found[part], form, title=part.replace("_", " "), empty=f"No {part.replace('_', ' ')}.")


@app.command()
def explain(
    name: str,
    other: Annotated[str | None, typer.Argument(help="A second record: the path between the two.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Why the records of a profile belong together: which rule and which values made each link; of two profiles, why
    they are not one: decisions, rules that only suggest, fields side by side."""
    from dunning_pipeline.identity.decisions import list_decisions
    from dunning_pipeline.identity.explaining import are_apart, differences, explanation
    from dunning_pipeline.ledger.engine import open_ledger

    with _snapshot(workspace) as con:
        if other is not None and are_apart(con, name, other):
            rows = differences(con, name, other, list_decisions(open_ledger(open_workspace(workspace))))
            show(rows, form, columns=["what", "left", "right", "words"], title="two profiles")
            return
        steps = explanation(con, name, other)
    columns = ["from", "to", "rule", "tier", "confidence", "words"]
    show(steps, form, columns=columns, empty="One record, nothing to explain: no rule links it to another.")


@app.command()
def links(
    kind: KindOption = Kind.account, workspace: WorkspaceOption = None, form: FormatOption = Format.table
) -> None:
    """Every source record with its unified profile: source, source_record_id, unified_id, rule, confidence."""
    with _snapshot(workspace) as con:
        rows = _dicts(
            con,
            f"select source, source_record_id, unified_{kind}_id as unified_id, rule, confidence from identity.{kind}_links order by 1, 2",
        )
    show(rows, form, columns=["source", "source_record_id", "unified_id", "rule", "confidence"])


@app.command()
def review(
    kind: Annotated[Kind | None, typer.Option("--kind", help="account or individual; default: both.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows of the table; JSON and CSV list all.")] = 50,
    skip: Annotated[int, typer.Option("--skip", min=0, help="Rows of the table to pass over: the next page.")] = 0,
    rule: Annotated[str | None, typer.Option("--rule", help="Only pairs of this rule.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Pairs of profiles that a rule would join and a person may decide, the most certain first; what was decided since the
    build is left out. Many: `--format csv`, write yes or no into `same`, then `dunning profile decide-all FILE`."""
    from dunning_pipeline.identity.decisions import list_decisions
    from dunning_pipeline.identity.reviewing import waiting_pairs, with_sides
    from dunning_pipeline.ledger.engine import open_ledger

    said = list_decisions(open_ledger(open_workspace(workspace)))
    decided = {(row["kind"], row["left_record"], row["right_record"]) for row in said}
    with _snapshot(workspace) as con:
        rows, done = waiting_pairs(con, decided, kind=kind.value if kind else None, rule=rule)
        shown = with_sides(con, rows[skip : skip + limit] if form is Format.table else rows)
    title = f"{len(rows)} open pairs" + (f", {skip + 1} to {skip + len(shown)}" if 0 < len(shown) < len(rows) else "")
    title += f"; {done} decided since the build" if done else ""
    columns = ["party_kind", "rule", "tier", "reason", "left_record", "right_record", "left", "right"]
    show(
        shown,
        form,
        columns=columns,
        title=title,
        empty=f"Nothing waits for a decision{title.partition(' open pairs')[2]}." if not rows else "No more pairs.",
    )


@app.command()
def decide(
    left: str,
    right: str,
    verdict: Annotated[Verdict, typer.Argument(help="same or different.")],
    reason: Annotated[str | None, typer.Option("--reason")] = None,
    kind: KindOption = Kind.account,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Decide that two source records are the same party, or are not; it counts from the next build on, before any rule."""
    from dunning_pipeline.identity.decisions import decide_pair
    from dunning_pipeline.ledger.engine import open_ledger
    from dunning_pipeline.settings.clock import business_now

    ws = open_workspace(workspace)
    with _snapshot(workspace) as con:
        keys = [_record_key(con, kind, name) for name in (left, right)]
    decision = decide_pair(
        open_ledger(ws), kind=kind, verdict="must_link" if verdict is Verdict.same else "cannot_link",
        left=keys[0], right=keys[1], reason=reason, actor=getpass.getuser(), at=business_now(),
    )  # fmt: skip
    row = {
        "decision_id": decision,
        "left": keys[0],
        "right": keys[1],
        "verdict": verdict.value,
        "counts_from": "the next build",
    }
    show([row], form)


@app.command("decide-all")
def decide_all(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV of `review` or `sample`, with yes or no in `same`.")
    ],
    reason: Annotated[str | None, typer.Option("--reason")] = None,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Of pairs whose row does not say it (`sample`).")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """Decide every pair of a file that has a label, as `decide` does; a line that cannot be decided stops no other."""
    from dunning_pipeline.identity.reviewing import take_labels
    from dunning_pipeline.identity.validation import labelled_rows
    from dunning_pipeline.ledger.engine import open_ledger
    from dunning_pipeline.settings.clock import business_now

    ledger = open_ledger(open_workspace(workspace))
    with _snapshot(workspace) as con:
        taken = take_labels(
            con, ledger, labelled_rows(file), kind=kind.value if kind else None, reason=reason,
            actor=getpass.getuser(), at=business_now(),
        )  # fmt: skip
    show([{"line": line, "refused": why} for line, why in taken.refused.items()], form, empty="")
    counts = f"{len(taken.decided)} decided, {len(taken.refused)} refused, {taken.unlabelled} without a label"
    typer.echo(f"{counts}; it counts from the next build on.", err=True)
    if taken.refused:
        raise typer.Exit(1)


@app.command("diff")
def diff_profiles(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """Which records the rulesets and decisions as they are now would join and part at the next build; nothing is written."""
    from dunning_pipeline.identity.dry_run import dry_run
    from dunning_pipeline.ledger.engine import open_ledger
    from dunning_pipeline.settings.clock import business_now

    ws = open_workspace(workspace)
    found = dry_run(ws, open_ledger(ws), now=business_now())
    columns = ["kind", "change", "record_key", "other_record", "rule"]
    show(found.changes, form, columns=columns, empty="Nobody would be joined or parted.")
    if form is Format.table:
        for kind, (before, after) in found.profiles.items():
            moved = sum(row["kind"] == kind for row in found.changes)
            typer.echo(f"{kind}: {before} profiles now, {after} then; {moved} records would change company", err=True)


@app.command()
def decisions(workspace: WorkspaceOption = None, form: FormatOption = Format.table) -> None:
    """What people decided about pairs of records and did not take back, the newest first."""
    from dunning_pipeline.identity.decisions import list_decisions
    from dunning_pipeline.identity.reviewing import known_records
    from dunning_pipeline.ledger.engine import open_ledger

    rows = list_decisions(open_ledger(open_workspace(workspace)))
    named = [row[side] for row in rows for side in ("left_record", "right_record")]
    with _snapshot(workspace) as con:
        there = {key for _, key in known_records(con, named)}
    for row in rows:
        gone = [key for key in (row["left_record"], row["right_record"]) if key not in there]
        row["waits_for"] = ", ".join(gone) or None  # it counts again when the source has the record again
    columns = [
        "decision_id",
        "kind",
        "verdict",
        "left_record",
        "right_record",
        "waits_for",
        "reason",
        "decided_by",
        "decided_at",
    ]
    show(rows, form, columns=columns, empty="Nobody decided anything.")


@app.command()
def withdraw(
    decision: Annotated[str, typer.Argument(help="Its id, as `dunning profile decisions` shows it.")],
    reason: Annotated[str | None, typer.Option("--reason")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Take a decision back: from the next build on the rules say again whether the two records are one."""
    from dunning_pipeline.identity.decisions import withdraw_decision
    from dunning_pipeline.ledger.engine import open_ledger
    from dunning_pipeline.settings.clock import business_now

    ledger = open_ledger(open_workspace(workspace))
    withdraw_decision(ledger, decision, reason=reason, actor=getpass.getuser(), at=business_now())
    typer.echo(f"{decision} is withdrawn; it counts until the next build.")


@app.command()
def sample(
    file: Annotated[Path, typer.Argument(help="CSV to write; people fill its column `same`.")],
    kind: KindOption = Kind.account,
    pairs: Annotated[int, typer.Option("--pairs", min=1)] = 3000,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    workspace: WorkspaceOption = None,
) -> None:
    """Draw pairs for labelling, the same number from every rule."""
    from dunning_pipeline.identity.validation import sample_pairs
    from dunning_pipeline.spreadsheets import safe_rows

    with _snapshot(workspace) as con:
        rows = sample_pairs(con, kind=kind, pairs=pairs, seed=seed)
    if not rows:
        typer.echo("No rule made a link or a suggestion: there is nothing to label.")
        return
    with file.open("w", encoding="utf-8-sig", newline="") as handle:  # the mark tells spreadsheets that it is UTF-8
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(safe_rows(rows))
    typer.echo(f"{len(rows)} pairs in {file}: write yes or no into `same`, then `dunning profile validate {file}`")


@app.command()
def validate(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The labelled CSV.")],
    form: FormatOption = Format.table,
) -> None:
    """Precision per rule from labelled pairs, with its 95 % bound, and whether tier B may be switched on."""
    from dunning_pipeline.identity.validation import labelled_rows, measured
    from dunning_pipeline.identity.validation import verdict as judged

    labelled = labelled_rows(file)
    results = measured(labelled)
    may, sentence = judged(results)
    rows = [
        {"rule": r.rule, "tier": r.tier, "pairs": r.pairs, "errors": r.errors, "precision": round(r.precision, 6),
         "at_least": round(r.lower, 6)}
        for r in results
    ]  # fmt: skip
    if form is Format.json:
        print_json({"rules": rows, "tier_b_may_merge": may, "verdict": sentence})
        return
    show(rows, form, empty="No pair is labelled.")
    if form is Format.table:
        typer.echo(f"{sum(r.pairs for r in results)} of {len(labelled)} pairs are labelled. {sentence}")


def _snapshot(workspace: str | None) -> Any:
    from contextlib import closing

    from dunning_pipeline.sql_models.snapshot import open_snapshot

    return closing(open_snapshot(open_workspace(workspace)))


def _record_key(con: Any, kind: Kind, name: str) -> str:
    from dunning_pipeline.errors import NotThere

    found = con.execute(
        f"select record_key from identity.{kind}_links where record_key = ? or source_record_id = ?", [name, name]
    ).fetchall()
    if len(found) != 1:
        problem = "several sources have a record with this id" if found else f"no {kind} record has this id"
        raise NotThere(problem, value=name, remedy="name it as source:id, as `dunning profile links` shows them")
    return str(found[0][0])


def _dicts(con: Any, sql: str, *values: Any) -> list[dict[str, Any]]:
    cursor = con.execute(sql, list(values))
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
