"""Names of companies as core name and legal form, with rigour's table of organisation types."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from rigour.names import extract_org_types, remove_org_types

from dunning_pipeline.identity.values.words import cleaned, latin, mapping, tokens, words


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
    found = extract_org_types(name)
    rest = remove_org_types(name, " ") if found else name
    form = found[-1][1] if found else None
    core, own_form = _own_form(tokens(rest))
    core = [word for word in core if word not in words("company_noise")] or core
    if not core:
        # `SA us` and `AG`: what looks like a form is the name
        core, form = tokens(name), None
    if not core:
        return None, None, None, None, "only_a_form"
    return " ".join(core), (latin(form) if form else own_form), tokens(name)[0], " ".join(sorted(set(core))), None


def _own_form(found: list[str]) -> tuple[list[str], str | None]:
    forms = mapping("company_forms")
    for length in (2, 1):
        tail = " ".join(found[-length:])
        if len(found) > length and tail in forms:
            return found[:-length], forms[tail]
    return found, None
