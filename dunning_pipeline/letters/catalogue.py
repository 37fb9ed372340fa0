"""Finds a template's files: templates/<channel>/<language>/<name>.*, with language fallback and a completeness list.

email/de/final_reminder.mjml (+ .subject.j2, .txt.j2)   letter/de/final_reminder.j2   sms/de/final_reminder.j2
labels/de.yaml holds the fixed words that all templates of a language share.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace

Channel = Literal["email", "letter", "sms"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
_TAG = re.compile("[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*")
_LANGUAGE = re.compile("[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
_MAIN = {"email": ".mjml", "letter": ".j2", "sms": ".j2"}


@dataclass(frozen=True)
class TemplateSource:
    """The files of one template in one channel and language, as an author left them."""

    template: str
    channel: Channel
    language: str
    file: Path  # the main file
    root: Path  # templates/, the jail of all includes
    logo: str | None = None  # company.yaml's, a path below root; printed on letters

    @property
    def subject_file(self) -> Path:
        return self.file.with_suffix(".subject.j2")

    @property
    def text_file(self) -> Path:
        return self.file.with_suffix(".txt.j2")

    @property
    def layout_file(self) -> Path:
        return self.root / "letter" / "letter.typ"


class Catalogue:
    """The templates of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.root = workspace.templates
        self.default_language = workspace.company.default_language
        self.languages = tuple(workspace.company.languages)
        self.logo = workspace.company.logo

    def find(self, template: str, channel: Channel, language: str) -> TemplateSource:
        """The template in `language`, else in its base language, the company's default, English.

        Raises NotThere naming the files that were looked for and the nearest template's name.
        """
        tried = []
        for candidate in fallbacks(language, self.default_language):
            file = self.root / channel / candidate / f"{template}{_MAIN[channel]}"
            tried.append(str(file.relative_to(self.root.parent)))
            if _is_name(template) and file.is_file():
                return TemplateSource(template, channel, candidate, file, self.root, self.logo)
        near = get_close_matches(template, self.names(), 1)
        raise NotThere(
            f"there is no {channel} template {template!r}; looked for {', '.join(tried)}",
            remedy=f"did you mean {near[0]!r}?" if near and near[0] != template else "write one of these files",
        )

    def exists(self, template: str, channel: Channel, language: str) -> bool:
        """True where `find` would succeed, fallback included."""
        try:
            self.find(template, channel, language)
        except NotThere:
            return False
        return True

    def names(self) -> list[str]:
        """Every template's name, over all channels and languages."""
        return sorted({source.template for source in self.sources()})

    def sources(self) -> Iterator[TemplateSource]:
        """Every template file, in a fixed order: channel, language, name."""
        for channel in CHANNELS:
            for folder in sorted(
                path for path in (self.root / channel).glob("*") if path.is_dir() and path.name != "parts"
            ):
                for file in sorted(folder.glob(f"*{_MAIN[channel]}")):
                    name = file.name.removesuffix(_MAIN[channel])
                    if _is_name(name):
                        yield TemplateSource(name, channel, folder.name, file, self.root, self.logo)

    def strays(self) -> list[tuple[Path, str]]:
        """Files and folders beside the templates that nothing reads, and why: a blank in a name, a language's name."""
        known = {file for source in self.sources() for file in (source.file, source.subject_file, source.text_file)}
        found = []
        for folder in sorted(path for channel in CHANNELS for path in (self.root / channel).glob("*") if path.is_dir()):
            if folder.name != "parts" and not _LANGUAGE.fullmatch(folder.name):
                found.append((folder, "no reader has this language: write it as de or de-AT"))
                continue
            for file in sorted(folder.glob("[!.]*") if folder.name != "parts" else ()):
                if file not in known:
                    kind = _MAIN[folder.parent.name]
                    found.append((file, f"no message is made of it: names are letters, digits, _ and - before {kind}"))
        return found

    def missing(self) -> list[tuple[str, Channel, str]]:
        """(template, channel, language) that a reader of a company language would get in another language."""
        have = {(source.template, source.channel, source.language) for source in self.sources()}
        wanted = {(name, channel) for name, channel, _ in have}
        return sorted(
            (name, channel, language)
            for name, channel in wanted
            for language in self.languages
            if (name, channel, language) not in have
        )


def fallbacks(language: str, default: str) -> list[str]:
    """de-AT, company default en → de-AT, de, en."""
    tag = language_tag(language)
    return list(dict.fromkeys([tag, tag.split("-")[0].lower(), default, default.split("-")[0].lower(), "en"]))


@lru_cache(maxsize=1024)
def language_tag(language: str) -> str:
    """A source's language as a tag: de_AT → de-AT; by its English or own name its code: Italian, italiano → it."""
    text = language.strip()
    if _TAG.fullmatch(text):
        return text.replace("_", "-")
    return _codes_by_name().get(text.casefold(), text)


@lru_cache(maxsize=1)
def _codes_by_name() -> dict[str, str]:
    from babel import Locale, localedata

    codes = [code for code in localedata.locale_identifiers() if "_" not in code]
    own = {(Locale.parse(code).get_display_name() or "").casefold(): code for code in codes}
    return own | {name.casefold(): code for code, name in Locale.parse("en").languages.items() if code in codes}


def _is_name(text: str) -> bool:
    return bool(text) and text.replace("_", "").replace("-", "").isalnum() and text.isascii()
