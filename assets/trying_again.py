"""What a person must mend is not tried again: Dagster repeats a failed run once (dagster.yaml), whatever failed."""

import dagster as dg

from dunning_pipeline.errors import InvalidDeclaration, Refused

TAG = "dagster/retry_on_asset_or_op_failure"  # Dagster's, of a run


@dg.failure_hook(name="tried_once")
def tried_once(context: dg.HookContext) -> None:
    """Dagster's retries of a run know nothing of `allow_retries`: before the run fails, its tag tells them.

    A second try of what is refused would be red again, and a second alarm. A run whose process died is still repeated.
    """
    error = context.op_exception
    if isinstance(error, Refused | InvalidDeclaration) or (isinstance(error, dg.Failure) and not error.allow_retries):
        context.instance.add_run_tags(context.run_id, {TAG: "false"})
