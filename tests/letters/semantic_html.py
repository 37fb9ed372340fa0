"""Two HTML texts as what they mean: tokens without order of attributes and styles, notations of colors, white space."""

import html
import re

from bs4 import BeautifulSoup, Comment, Doctype, NavigableString, Tag

_COLOR3 = re.compile(r"#([0-9a-f])([0-9a-f])([0-9a-f])(?![0-9a-f])")


def tokens(text: str) -> list[str]:
    """Start tags with sorted attributes, end tags, texts, comments and style rules of a page, in order."""
    return list(_walk(BeautifulSoup(text, "html.parser")))


def _walk(node):
    for child in node.children:
        if isinstance(child, Comment):
            yield from _comment(str(child))
        elif isinstance(child, Doctype):
            continue
        elif isinstance(child, NavigableString):
            if node.name == "style":
                yield from sorted(_rules(str(child)))
            elif words := " ".join(str(child).split()):
                yield words
        elif isinstance(child, Tag):
            if child.name == "tbody":
                yield from _walk(child)
                continue
            yield f"<{child.name} {_attributes(child)}>"
            yield from _walk(child)
            yield f"</{child.name}>"


def _comment(text: str):
    """Outlook's conditional comments hold HTML of their own: compared tag by tag."""
    plain = " ".join(html.unescape(text).split())
    for part in re.findall(r"<[^>]+>|[^<]+", plain):
        if not part.strip():
            continue
        match = re.match(r"<(\w[\w:]*)(.*?)/?>$", part)
        if match:
            pairs = re.findall(r'([\w:-]+)\s*=\s*"([^"]*)"', match[2])
            shown = sorted(f"{name}={_value(name, value)}" for name, value in pairs if value.strip())
            yield f"!<{match[1]} {' '.join(shown)}>"
        else:
            yield f"!{part.strip()}"


def _attributes(tag: Tag) -> str:
    pairs = []
    for name, value in tag.attrs.items():
        value = " ".join(value) if isinstance(value, list) else value
        if value or name == "alt":
            pairs.append(f"{name}={_value(name, value)}")
    return " ".join(sorted(pairs))


def _value(name: str, value: str) -> str:
    if name != "style":
        return _color(value.strip())
    declarations = (part.split(":", 1) for part in value.split(";") if ":" in part)
    return ";".join(sorted(f"{key.strip()}:{_color(' '.join(inner.split()))}" for key, inner in declarations))


def _rules(sheet: str):
    plain = re.sub(r"\s+", "", re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL))
    return [_color(rule) for rule in re.findall(r"[^{}]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", plain)]


def _color(text: str) -> str:
    text = _COLOR3.sub(r"#\1\1\2\2\3\3", text.lower())
    return re.sub(r"(?<=\d)\.0(?=\D|$)", "", text)
