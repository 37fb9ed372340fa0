"""The clock of the day: everything at the company's send hour, and what is due every quarter of an hour."""

import dagster as dg

from dunning_pipeline.settings.workspace import Workspace


def schedules(ws: Workspace) -> list[dg.ScheduleDefinition]:
    """Both are off until somebody switches them on."""
    company = ws.company

    @dg.schedule(
        name="every_day",
        job_name="daily",
        cron_schedule=f"0 {company.send_hour} * * *",
        execution_timezone=company.time_zone,
        description=f"The whole day at {company.send_hour:02d}:00 in {company.time_zone}, for that day's dunning date.",
    )
    def every_day(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        day = context.scheduled_execution_time.astimezone(company.zone).date().isoformat()
        return dg.RunRequest(run_key=f"daily:{day}", partition_key=day)

    @dg.schedule(
        name="every_quarter_hour",
        job_name="send",
        cron_schedule="*/15 * * * *",
        execution_timezone=company.time_zone,
        description="Delivers what became due: sent by hand, held overnight, or after a provider's outage.",
    )
    def every_quarter_hour(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(run_key=f"send:{context.scheduled_execution_time.isoformat()}")

    return [every_day, every_quarter_hour]
