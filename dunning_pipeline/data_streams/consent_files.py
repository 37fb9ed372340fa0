"""Hands the declared consent CSVs of the inbox to delivery, which parses and records them."""

from datetime import datetime
from fnmatch import fnmatch

from dunning_pipeline.data_streams.declaration import StreamSource
from dunning_pipeline.data_streams.load_report import LoadReport
from dunning_pipeline.errors import DunningError
from dunning_pipeline.settings.workspace import Workspace


def import_consent_files(ws: Workspace, stream: StreamSource, now: datetime) -> list[LoadReport]:
    """One report per file in inbox/consent; a file that no declaration fits is an error, never a guess."""
    from dunning_pipeline.delivery.permission import consent

    import_file = getattr(consent, "import_consent_file", None)
    reports = []
    folder = ws.inbox / "consent"
    for file in sorted(folder.glob("*.csv")) if folder.is_dir() else []:
        report = LoadReport(stream.source, file.name, files=[file.name])
        declared = next((one for one in stream.files if fnmatch(file.name.lower(), one.file.lower())), None)
        if declared is None:
            report.status = "failed"
            report.error = f"{file}: no entry of policies/streams/consent.yaml fits this file name"
        elif import_file is None:
            report.notes.append("consent files cannot be imported by this version")
        else:
            try:
                result = import_file(ws, file, declared, now)
            except DunningError as error:
                report.status, report.error = "failed", str(error)
            else:
                for name in ("rows_read", "rows_loaded", "rows_rejected", "reject_file"):
                    setattr(report, name, getattr(result, name, getattr(report, name)))
        reports.append(report)
    return reports
