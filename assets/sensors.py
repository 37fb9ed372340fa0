"""Watches: a file that was dropped into the inbox is read, a run that failed becomes a finding for people."""

import hashlib
import json
from pathlib import Path

import dagster as dg

from assets.place import workspace
from dunning_pipeline.settings.clock import business_now


def sensors() -> list[dg.SensorDefinition]:
    """Off until switched on, except for the watch over failures and their end, which costs nothing."""
    return [file_drop(), failures(), successes()]


def file_drop() -> dg.SensorDefinition:
    """Launches ingest_and_build when the inbox has changed and then stood still for one look."""

    @dg.sensor(
        name="file_dropped",
        job_name="ingest_and_build",
        minimum_interval_seconds=30,
        description="Reads the inbox when a file was added or replaced, once nothing has changed for 30 seconds.",
    )
    def file_dropped(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        before = json.loads(context.cursor) if context.cursor else {"seen": "", "launched": ""}
        seen = inbox_mark(workspace().inbox)
        if seen == before["launched"] or not seen:
            return dg.SkipReason("nothing new in the inbox")
        if seen != before["seen"]:
            context.update_cursor(json.dumps({**before, "seen": seen}))
            return dg.SkipReason("files are still arriving")
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=f"inbox:{seen}")], cursor=json.dumps({"seen": seen, "launched": seen})
        )

    return file_dropped


def inbox_mark(inbox: Path) -> str:
    """A short text that changes whenever a file below the inbox does; empty for an empty inbox."""
    files = (
        [f for f in sorted(inbox.rglob("*")) if f.is_file() and not f.name.startswith(".")] if inbox.is_dir() else []
    )
    if not files:
        return ""
    marks = [f"{f.relative_to(inbox)}|{f.stat().st_size}|{f.stat().st_mtime_ns}" for f in files]
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:16]


def failures() -> dg.SensorDefinition:
    @dg.run_failure_sensor(
        name="run_failed",
        monitor_all_code_locations=False,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A failed run becomes a finding in the ledger, where the console shows it to the people in charge.",
    )
    def run_failed(context: dg.RunFailureSensorContext) -> None:
        from dunning_pipeline.ledger.engine import open_ledger
        from dunning_pipeline.ledger.findings import raise_finding

        job, said = context.dagster_run.job_name, _causes(context) or context.failure_event.message
        if "outside the execution context" in (said or ""):  # Dagster's words for a process that is gone
            said = "its process ended without a word: killed, out of memory, or the machine restarted"
        with open_ledger(workspace()).begin() as connection:
            raise_finding(
                connection,
                kind="run_failed",
                object_kind="job",
                object_id=job,
                severity="error",
                message=f"the job {job} failed: {said}",
                detail={"run_id": context.dagster_run.run_id},
                at=business_now(),
            )

    return run_failed


def _causes(context: dg.RunFailureSensorContext) -> str:
    """What each failed step said in our words, file and remedy included; Dagster's own message names the steps only."""
    causes = []
    for event in context.get_step_failure_events():
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            _, _, said = error.message.partition(f"{error.cls_name}: ")  # module.Class: what it says
            causes.append((said or error.message).strip())
    return "; ".join(causes)


def successes() -> dg.SensorDefinition:
    @dg.run_status_sensor(
        name="run_succeeded",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitor_all_code_locations=False,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="A run that succeeds ends the finding that an earlier one of its job left.",
    )
    def run_succeeded(context: dg.RunStatusSensorContext) -> None:
        from dunning_pipeline.ledger.engine import open_ledger
        from dunning_pipeline.ledger.findings import resolve_findings_of

        job = context.dagster_run.job_name
        with open_ledger(workspace()).begin() as connection:
            resolve_findings_of(connection, kind="run_failed", object_id=job, by="dagster", at=business_now())

    return run_succeeded
