"""Names of people as comparable given and family names: titles off, accents folded, order restored, scripts unified."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import re
from functools import cache

from dunning_pipeline.identity.values.words import TABLES, cleaned, tokens, words

_UMLAUTS = re.compile(r"(?<=[a-z])(a|o|u)e(?=[a-z])")
_NICK_IN_QUOTES = re.compile(r"[\"“”(].*?[\"“”)]")


def normalised_person(first: str, last: str, full: str) -> tuple[str | None, ...]:
    """(given, family, generation, given_letters, family_letters, given_root, problem): ASCII, family name as one word, first given name.

    The letters are those of the name in alphabetical order: equal letters tell swapped letters from other typos. The root is
    one for a given name and all its short forms.

    Both may be None: a name of a company or a department, a null-like or over-long text is no name of a person.
    problem: empty, too_long, not_a_person, one_word.
    """
    if max(len(first), len(last), len(full)) > 300:
        return None, None, None, None, None, None, "too_long"
    given, family = _name_tokens(cleaned(first)), _name_tokens(cleaned(last))
    if (not given and not family) or (not given and len(family) > 1 and not full):
        given, family = _split_full(cleaned(full) or cleaned(last))
    elif not given and full:
        given, family = _split_full(cleaned(full))
    if (not_people := words("not_a_person")) and any(word in not_people for word in (*given, *family)):
        return None, None, None, None, None, None, "not_a_person"
    if any(ch.isdigit() for word in (*given, *family) for ch in word):
        return None, None, None, None, None, None, "not_a_person"
    generations = words("generations")
    generation = next((_GENERATIONS.get(word, word) for word in (*family, *given) if word in generations), None)
    given = [word for word in given if word not in generations]
    family = [word for word in family if word not in generations]
    if not given and not family:
        return None, None, None, None, None, None, "empty"
    first_given = folded(given[0]) if given else None
    whole_family = folded("".join(family)) or None
    problem = None if first_given and whole_family else "one_word"
    root = given_roots().get(first_given, first_given) if first_given else None
    return first_given, whole_family, generation, _letters(first_given), _letters(whole_family), root, problem


def _letters(word: str | None) -> str | None:
    return "".join(sorted(word)) if word else None


_GENERATIONS = {"junior": "jr", "senior": "sr"}


def folded(word: str) -> str:
    """mueller and müller alike: ae, oe, ue inside a word become a, o, u."""
    return _UMLAUTS.sub(r"\1", word)


@cache
def nicknames() -> tuple[tuple[str, str], ...]:
    """Pairs (name, short form) in both directions, folded, from tables/nicknames.csv."""
    lines = (TABLES / "nicknames.csv").read_text(encoding="utf-8").splitlines()
    pairs = [line.split(",")[:2] for line in lines if not line.startswith("#")][1:]
    both = {(folded(a), folded(b)) for a, b in pairs} | {(folded(b), folded(a)) for a, b in pairs}
    return tuple(sorted(pair for pair in both if pair[0] != pair[1]))


@cache
def given_roots() -> dict[str, str]:
    """Given name → its root: names that short forms connect, however far, have one root, the first of them all."""
    root: dict[str, str] = {}

    def find(name: str) -> str:
        while root.setdefault(name, name) != name:
            name = root[name]
        return name

    for one, other in nicknames():
        first, second = sorted((find(one), find(other)))
        root[second] = first
    return {name: find(name) for name in root}


def _name_tokens(text: str) -> list[str]:
    titles = words("titles")
    found = tokens(_NICK_IN_QUOTES.sub(" ", text)) or tokens(text)
    kept = [word for word in found if word not in titles]
    return kept or found[:1]


def _split_full(text: str) -> tuple[list[str], list[str]]:
    """Given and family names of `Doe, John`, `Dr. John van der Doe` and `John Doe Jr.`."""
    before, comma, after = text.partition(",")
    generations = words("generations")
    if comma and _name_tokens(after) and not all(word in generations for word in tokens(after)):
        return _name_tokens(after), _name_tokens(before)
    found = _name_tokens(text)
    tail = [word for word in found if word in generations]
    found = [word for word in found if word not in generations]
    if len(found) < 2:
        return [], found + tail
    start = len(found) - 1
    while start > 1 and found[start - 1] in words("family_particles"):
        start -= 1
    return found[:start], found[start:] + tail
