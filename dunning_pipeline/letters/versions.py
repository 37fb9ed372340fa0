"""Published template versions in the ledger: sends are pinned to one, so an edit never changes a queued message."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.schema import template_versions
from dunning_pipeline.letters.catalogue import Catalogue, Channel, fallbacks
from dunning_pipeline.letters.compiling import TemplateVersion, compile_template
from dunning_pipeline.settings.workspace import Workspace


def publish(connection: Connection, version: TemplateVersion, *, now: datetime, by: str) -> bool:
    """Makes this version the one that new sends get. False where it is the published one already.

    A version that was published before, then replaced, and is published again becomes the newest again.
    """
    newest = published(connection, version.template, version.channel, version.language)
    if newest is not None and newest.version == version.version:
        return False
    known = connection.execute(
        select(template_versions.c.version).where(template_versions.c.version == version.version)
    ).first()
    if known:
        connection.execute(
            template_versions.update()
            .where(template_versions.c.version == version.version)
            .values(published_at=now, published_by=by)
        )
    else:
        connection.execute(
            template_versions.insert().values(
                version=version.version,
                template=version.template,
                channel=version.channel,
                language=version.language,
                compiled=version.compiled,
                published_at=now,
                published_by=by,
            )
        )
    return True


def published(connection: Connection, template: str, channel: str, language: str) -> TemplateVersion | None:
    """The newest published version in exactly this language, or None."""
    row = connection.execute(
        select(template_versions)
        .where(
            template_versions.c.template == template,
            template_versions.c.channel == channel,
            template_versions.c.language == language,
        )
        .order_by(template_versions.c.published_at.desc(), template_versions.c.version)
        .limit(1)
    ).one_or_none()
    return _version(row) if row is not None else None


def pin(connection: Connection, ws: Workspace, *, template: str, channel: str, language: str, now: datetime) -> str:
    """The newest published version for the language, with fallback (de-AT → de → company default → en); a template
    that was never published is, now.

    Raises NotThere or InvalidDeclaration where there is no such template or it does not compile.
    """
    rows = connection.execute(
        select(template_versions.c.language, template_versions.c.version)
        .where(template_versions.c.template == template, template_versions.c.channel == channel)
        .order_by(template_versions.c.published_at, template_versions.c.version.desc())
    )
    newest = {row.language: row.version for row in rows}
    candidates = fallbacks(language, ws.company.default_language)
    if candidates[0] in newest:
        return newest[candidates[0]]
    source = None
    try:
        source = Catalogue(ws).find(template, channel, language)  # type: ignore[arg-type]
        candidates = candidates[: candidates.index(source.language) + 1]  # a file comes before others' versions
    except NotThere:
        if not newest.keys() & set(candidates):
            raise
    for candidate in candidates:
        if candidate in newest:
            return newest[candidate]
    assert source is not None
    made = compile_template(source)
    publish(connection, made, now=now, by="first use")
    return made.version


def pinned(connection: Connection, version: str) -> TemplateVersion:
    """The version with this hash. Raises NotThere."""
    row = connection.execute(select(template_versions).where(template_versions.c.version == version)).one_or_none()
    if row is None:
        raise NotThere("there is no such template version", value=version, remedy="`dunning template publish`")
    return _version(row)


def publish_all(
    connection: Connection, catalogue: Catalogue, *, now: datetime, by: str, names: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Compiles and publishes every template (or those named); one row each with `state` new or unchanged.

    Raises InvalidDeclaration where one does not compile or cannot be filled with its sample, before any is published.
    """
    from dunning_pipeline.letters.proof.rehearsal import rehearse

    sources = [source for source in catalogue.sources() if not names or source.template in names]
    versions = [compile_template(source) for source in sources]
    rehearse(list(zip(sources, versions, strict=True)))
    return [
        {**describe(version), "state": "new" if publish(connection, version, now=now, by=by) else "unchanged"}
        for version in versions
    ]


def state(connection: Connection | None, version: TemplateVersion) -> str:
    """published, changed (files differ from what is published) or new (never published)."""
    channel: Channel = version.channel
    found = published(connection, version.template, channel, version.language) if connection is not None else None
    if found is None:
        return "new"
    return "published" if found.version == version.version else "changed"


def describe(version: TemplateVersion) -> dict[str, Any]:
    """template, channel, language, version."""
    return {
        "template": version.template,
        "channel": version.channel,
        "language": version.language,
        "version": version.version,
    }


def _version(row: Any) -> TemplateVersion:
    return TemplateVersion(row.template, row.channel, row.language, row.compiled)
