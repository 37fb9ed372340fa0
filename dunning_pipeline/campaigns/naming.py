"""What campaigns name and the workspace does not have: segments, templates, processes, levels."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dunning_pipeline.errors import InvalidDeclaration, NotThere
from dunning_pipeline.settings.workspace import Workspace

if TYPE_CHECKING:
    from dunning_pipeline.campaigns.declaration import Campaign, DeclaredCampaign


def mistakes_in(ws: Workspace, declared: "Iterable[DeclaredCampaign]") -> Iterator[InvalidDeclaration]:
    """Each of them with its place; for a process that is not there, its levels are not looked at.

    A mistake in a process's own file is one only of the campaigns that name a process or levels, one in the segments'
    waterfalls only of those that name what is no segment of its own file.
    """
    from dunning_pipeline.dunning.processes import load_processes
    from dunning_pipeline.sql_models.folder.templating import did_you_mean

    segments, torn = _segment_names(ws)
    broken: InvalidDeclaration | None = None
    try:
        processes = load_processes(ws)
    except InvalidDeclaration as error:
        processes, broken = {}, error
    for one in declared:
        campaign = one.campaign
        for name in campaign.segments:
            if name not in segments and torn is not None:
                message = f"{name!r} is no segment, and the waterfalls cannot be read: {torn.message}"
                yield one.mistake(_where(campaign, name), message, remedy=f"{torn.where} {torn.remedy or ''}".strip())
            elif name not in segments:
                hint = did_you_mean(name, segments, "see `dunning segment list`")
                yield one.mistake(_where(campaign, name), f"there is no segment {name!r}", remedy=hint)
        yield from _digest_mistakes(ws, one)
        yield from _template_mistakes(ws, one)
        if broken is not None:
            if campaign.process is not None or campaign.levels:
                yield one.mistake(("process",), f"its process cannot be read: {broken.message}", remedy=broken.where)
            continue
        if campaign.process is not None and campaign.process not in processes:
            hint = did_you_mean(campaign.process, processes, "see `dunning process list`")
            yield one.mistake(("process",), f"there is no process {campaign.process!r}", remedy=hint)
            continue
        meant = [processes[campaign.process]] if campaign.process else processes.values()
        levels = {level.level for declared_process in meant for level in declared_process.process.levels}
        for place, level in enumerate(campaign.levels):
            if level not in levels:
                hint = f"there are the levels {', '.join(map(str, sorted(levels)))}"
                message = f"{campaign.process or 'no process'} has {'no' if campaign.process else 'a'} level {level}"
                yield one.mistake(("levels", place), message, remedy=hint)


def _template_mistakes(ws: Workspace, one: "DeclaredCampaign") -> Iterator[InvalidDeclaration]:
    """A template that is missing on a channel of the campaign, in the company's language and its fallbacks."""
    from dunning_pipeline.letters.catalogue import Catalogue
    from dunning_pipeline.sql_models.folder.templating import did_you_mean

    campaign, catalogue = one.campaign, Catalogue(ws)
    if campaign.template is None:
        return
    for channel in campaign.channels or ("email",):
        if channel not in ("email", "sms", "letter"):
            continue
        try:
            catalogue.find(campaign.template, channel, ws.company.default_language)
        except NotThere:
            hint = did_you_mean(campaign.template, catalogue.names(), "see `dunning template list`")
            message = f"there is no {channel} template {campaign.template!r}"
            yield one.mistake(("template",), message, remedy=hint, value=campaign.template)


def _digest_mistakes(ws: Workspace, one: "DeclaredCampaign") -> Iterator[InvalidDeclaration]:
    """What does not go with one message over several accounts; and a template for such in a campaign without."""
    campaign = one.campaign
    shows = shows_accounts(ws, campaign)
    if campaign.consolidate is None:
        if shows:
            message = f"the template {campaign.template!r} is one of digests: it lists several accounts"
            yield one.mistake(("template",), message, remedy="add `consolidate: by_contact_point`, or name another")
        return
    if campaign.flow != "message":
        why = {
            "dunning": "a reminder is one account's own, with its number and deadline; a digest only informs",
            "collection_plan": "a plan is agreed with one account; a digest only informs",
        }[campaign.flow]
        yield one.mistake(("consolidate",), why, remedy="write `flow: message`, or leave `consolidate` out")
        return
    for place, channel in enumerate(campaign.channels):
        if channel not in ("email", "sms"):
            message = f"a digest goes by e-mail or SMS, not by {channel}"
            yield one.mistake(("channels", place), message, remedy="give it a campaign of its own")
    if shows is False:
        message = f"the template {campaign.template!r} does not show `accounts`: it is of a single account"
        yield one.mistake(("template",), message, remedy="name account_digest, or a template with a loop over accounts")


def shows_accounts(ws: Workspace, campaign: "Campaign") -> bool | None:
    """Whether the campaign's template lists the accounts of a digest; None where its files cannot be read."""
    from dunning_pipeline.letters.catalogue import Catalogue
    from dunning_pipeline.letters.subjects import is_of_digests

    channel = next((name for name in campaign.channels or ("email",) if name in ("email", "sms", "letter")), None)
    if channel is None or campaign.template is None:
        return None
    try:
        return is_of_digests(Catalogue(ws).find(campaign.template, channel, ws.company.default_language))
    except (NotThere, InvalidDeclaration):
        return None


def _segment_names(ws: Workspace) -> tuple[set[str], InvalidDeclaration | None]:
    """Segments and waterfalls of the workspace; without the waterfalls, and why, where their file cannot be read."""
    from dunning_pipeline.sql_models.segmenting.waterfalls import load_waterfalls

    folder = ws.models / "segments"
    names = {file.stem for file in folder.rglob("*.sql")}
    try:
        return names | {one.waterfall for one in load_waterfalls(folder / "waterfalls.yml")}, None
    except InvalidDeclaration as error:
        return names, error


def _where(campaign: "Campaign", name: str) -> tuple[Any, ...]:
    if campaign.segment is not None:
        return ("segment",)
    if isinstance(campaign.waterfall, str):
        return ("waterfall",)
    return ("waterfall", list(campaign.waterfall or ()).index(name))
