"""`dunning law`: the dated tables of interest rates and lump sums, and how they are extended."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from dunning_pipeline.cli.output import Format, FormatOption, WorkspaceOption, open_workspace, show
from dunning_pipeline.law.packs import LawPack, find_law, import_rates, load_laws

app = typer.Typer(no_args_is_help=True, help="Interest rates and lump sums: show, import.")


@app.command("show")
def show_law(
    law: Annotated[str | None, typer.Argument(help="Such as DE; without it: all packs.")] = None,
    workspace: WorkspaceOption = None,
    form: FormatOption = Format.table,
) -> None:
    """The packs and how far they are known, or every rate of one with its source."""
    ws = open_workspace(workspace)
    if law is None:
        rows = [
            {
                "law": pack.law,
                "name": pack.name,
                "rule": pack.rule,
                "known_until": pack.known_until.isoformat() if pack.known_until else None,
                "margins": ", ".join(f"{party} {margin} %" for party, margin in pack.margins.items()),
                "lump_sums": _lump_sums(pack),
                "basis": pack.basis,
            }
            for pack in (declared.pack for declared in load_laws(ws).values())
        ]
        show(rows, form, title="Law packs (not legal advice)")
        return
    pack = find_law(ws, law).pack
    rates = [
        {
            "law": pack.law,
            "from": rate.valid_from.isoformat(),
            "percent": f"{rate.percent:f}",
            **{party: f"{max(rate.percent + margin, 0):f}" for party, margin in pack.margins.items()},
            "source": rate.source or pack.source,
        }
        for rate in pack.rates
    ]
    until = f", known until {pack.known_until}" if pack.known_until else ""
    sums = f"; lump sums: {_lump_sums(pack)}" if pack.compensation else ""
    show(rates, form, title=f"{pack.name}: {pack.basis}{until}{sums}", empty=f"{pack.name}: {pack.basis}")


def _lump_sums(pack: LawPack) -> str:
    """business 40.00 GBP, business from 1000 GBP 70.00 GBP"""
    words = []
    for tier in pack.compensation:
        [(currency, amount)] = tier.amount.items()
        threshold = f"from {tier.valid_from_amount:f} {currency} " if tier.valid_from_amount else ""
        words.append(f"{tier.party} {threshold}{amount:f} {currency}")
    return ", ".join(words)


@app.command("import")
def import_law(
    law: Annotated[str, typer.Argument(help="The pack to extend, such as DE.")],
    file: Annotated[Path, typer.Argument(help="CSV with the columns from, percent (ISO dates, decimal point).")],
    known_until: Annotated[str, typer.Option("--known-until", help="Last day on which the rates are known.")],
    source: Annotated[str, typer.Option("--source", help="The official source of the new rows.")],
    workspace: WorkspaceOption = None,
) -> None:
    """Add rates to a pack; a row that contradicts a known rate is refused and nothing is written."""
    try:
        until = date.fromisoformat(known_until)
    except ValueError:
        raise typer.BadParameter(f"{known_until!r} is no date; write YYYY-MM-DD", param_hint="--known-until") from None
    added = import_rates(open_workspace(workspace), law=law, file=file, known_until=until, source=source)
    typer.echo(f"{law.upper()}: {added} rates added, known until {until}")
