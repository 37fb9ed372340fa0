"""Names of companies as core name and legal form, with rigour's table of organisation types."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import re

from rigour.names import extract_org_types, remove_org_types

from dunning_pipeline.identity.values.persons import folded
from dunning_pipeline.identity.values.words import cleaned, latin, mapping, tokens, words

_AND_CO = re.compile(r"\s+(?:und|u\.|and|et|y|e|i|\+)\s+(?=co\b)")
_SPELLED = re.compile(r"(?<=[\s,])(?:[a-z][./]\s?)+[a-z]\.?$")  # l.l.p., s. a., a/s: a last word written in letters
_BEFORE_FORM = re.compile(r",(?=[^,]*$)")


def normalised_company(raw: str) -> tuple[str | None, ...]:
    """(core, form, first word, word set, problem): core without legal form and filler words; form is a short code, `gmbh`.

    The first word is that of the name as written: `SA us` begins with sa, whatever sa may stand for elsewhere.
    The word set is the core's words in alphabetical order, each once.

    The core is None where nothing but a form or a null-like word remains. problem: empty, too_long, only_a_form.
    """
    if len(raw) > 300:
        return None, None, None, None, "too_long"
    text = cleaned(raw)
    if not text:
        return None, None, None, None, "empty"
    name = text.casefold()
    written = _form_as_one_word(name)
    found = extract_org_types(written)
    rest = remove_org_types(written, " ") if found else written
    form = found[-1][1] if found else None
    core, own_form = _own_form(tokens(rest), form)
    core = [folded(word) for word in core if word not in words("company_noise")] or core
    if not core:
        # `SA us` and `AG`: what looks like a form is the name
        core, own_form = tokens(name), None
    if not core:
        return None, None, None, None, "only_a_form"
    return " ".join(core), own_form, tokens(name)[0], " ".join(sorted(set(core))), None


def _form_as_one_word(name: str) -> str:
    """The name with its form written as rigour's table knows it: `, gmbh und co kg` → ` gmbh & co kg`, `l.l.p.` → `llp`."""
    name = _BEFORE_FORM.sub(" ", _AND_CO.sub(" & ", name))
    spelled = _SPELLED.search(name)
    if not spelled:
        return name
    word = re.sub(r"[^a-z]", "", spelled[0])
    known = any(found == word for found, _ in extract_org_types(word)) or word in mapping("company_forms")
    longer = any(len(found) > len(spelled[0]) for found, _ in extract_org_types(name))  # c.v. of s.a. de c.v.
    return name[: spelled.start()] + word if known and not longer else name


def _own_form(found: list[str], form: str | None) -> tuple[list[str], str | None]:
    """Core words and form code after the own table of forms, which also knows what rigour leaves of `pvt. ltd.`."""
    forms, same = mapping("company_forms"), mapping("same_form")
    if form:
        while len(found) > 1 and found[-1] in words("before_form"):
            found = found[:-1]
    for length in (4, 3, 2, 1):
        tail = " ".join(found[-length:])
        if len(found) > length and tail in forms:
            found, form = found[:-length], form or forms[tail]
            break
    code = latin(form) if form else None
    return found, same.get(code, code) if code else None
