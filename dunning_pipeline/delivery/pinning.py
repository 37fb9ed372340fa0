"""Which template version a send is pinned to when it is queued, and that version again when it is rendered."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.schema import template_versions
from dunning_pipeline.letters.catalogue import Catalogue, fallbacks
from dunning_pipeline.letters.compiling import TemplateVersion, compile_template
from dunning_pipeline.settings.workspace import Workspace

RENDERED = ("email", "sms", "letter")


def pin(connection: Connection, ws: Workspace, *, template: str, channel: str, language: str, now: datetime) -> str:
    """The newest published version for the language, with fallback; a template that was never published is, now.

    Raises NotThere or InvalidDeclaration where there is no such template or it does not compile.
    """
    rows = connection.execute(
        select(template_versions.c.language, template_versions.c.version)
        .where(template_versions.c.template == template, template_versions.c.channel == channel)
        .order_by(template_versions.c.published_at)
    ).all()
    newest = {row.language: row.version for row in rows}
    source = None
    for candidate in fallbacks(language, ws.company.default_language):
        if candidate in newest:
            return newest[candidate]
        source = source or _file_of(ws, template, channel, candidate)
        if source is not None and source.language == candidate:
            break
    if source is None:
        source = Catalogue(ws).find(template, channel, language)  # type: ignore[arg-type]
    made = compile_template(source)
    known = connection.scalar(select(template_versions.c.version).where(template_versions.c.version == made.version))
    if known is None:
        connection.execute(
            template_versions.insert().values(
                version=made.version,
                template=template,
                channel=channel,
                language=made.language,
                compiled=made.compiled,
                published_at=now,
                published_by="first use",
            )
        )
    return made.version


def _file_of(ws: Workspace, template: str, channel: str, language: str) -> Any:
    try:
        return Catalogue(ws).find(template, channel, language)  # type: ignore[arg-type]
    except NotThere:
        return None


class PinnedTemplates:
    """The versions that a worker has met; a version never changes, so each is read once."""

    def __init__(self) -> None:
        self._known: dict[str, TemplateVersion] = {}

    def get(self, connection: Connection, version: str | None, row: Mapping[str, Any]) -> TemplateVersion:
        """Raises NotThere for a send that is pinned to nothing or to a version that is gone."""
        if version not in self._known:
            found = connection.execute(
                select(template_versions).where(template_versions.c.version == (version or ""))
            ).one_or_none()
            if found is None:
                raise NotThere(
                    f"the {row['channel']} template {row['template']!r} of this send is not in the ledger",
                    value=version,
                    remedy="publish it with `dunning template publish` and queue the send again",
                )
            self._known[version or ""] = TemplateVersion(
                found.template, found.channel, found.language, found.compiled, {}
            )
        return self._known[version or ""]
