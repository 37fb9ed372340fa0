"""`dunning console` and `dunning webhook`: the two servers, on loopback unless told."""

from typing import Annotated

import typer

from dunning_pipeline.cli.output import WorkspaceOption, open_workspace

SWITCH_SECONDS = 0.0005


def console(
    workspace: WorkspaceOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on; only this machine unless told.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8400,
) -> None:
    """The clerk's web console."""
    import sys

    import uvicorn

    from dunning_pipeline.console.access import make_first_admin
    from dunning_pipeline.console.app import build_app
    from dunning_pipeline.delivery.providers.http import is_loopback

    ws = open_workspace(workspace)
    app = build_app(ws)
    password = make_first_admin(app.state.engine)
    if password:
        typer.echo(f"First start. Log in as `admin` with this one-time password: {password}")
    if not is_loopback(host):
        typer.echo("Others can reach this address: put a proxy with TLS in front of it.", err=True)
    typer.echo(f"The console is at http://{host}:{port}")
    # a page gives up the interpreter at every query of the ledger; it would wait 5 ms behind one that renders
    sys.setswitchinterval(SWITCH_SECONDS)
    uvicorn.run(app, host=host, port=port, log_level="warning", server_header=False)


def webhook(
    workspace: WorkspaceOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8401,
) -> None:
    """Receives the providers' signed events (POST /webhooks/sendgrid, /twilio, /stripe) and preferences."""
    import uvicorn

    from dunning_pipeline.delivery.webhook import webhook_app

    app = webhook_app(open_workspace(workspace))
    typer.echo(f"Events are taken at http://{host}:{port}/webhooks/sendgrid")
    uvicorn.run(app, host=host, port=port, log_level="warning", server_header=False, access_log=False)
