"""Predicates over two rows of the names tables, `a` and `b`: when two names are near enough, per precision."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from dunning_pipeline.identity.rulesets import Criterion

SHORTEST_TYPO = 4  # letters; in shorter names one letter makes another name


# both given names are common in these records, so neither is a typo of the other
_IN_USE = (
    "(least(a.given_count, b.given_count) >= 5"
    " and least(a.given_count, b.given_count) * 20 > greatest(a.given_count, b.given_count))"
)
# Julia and Julie, though one is also a short form of the other: sisters as often as one person
_TWO_NAMES = f"({_IN_USE} and levenshtein(a.given, b.given) <= 1)"


def name_predicate(kind: str, criteria: tuple[Criterion, ...], *, form_matters: bool) -> str:
    """SQL boolean over `a` and `b` (and `nick` for people) that all name criteria hold; true without criteria."""
    parts = [_criterion(kind, criterion) for criterion in criteria]
    if kind == "account" and form_matters:
        parts.append("(a.form is null or b.form is null or a.form = b.form)")
    return " and ".join(parts) or "true"


def _criterion(kind: str, criterion: Criterion) -> str:
    predicate = _account(criterion) if kind == "account" else _individual(criterion)
    if criterion.blank == "match":
        return f"(a.name_id is null or b.name_id is null or {predicate})"
    return predicate


def _account(criterion: Criterion) -> str:
    if criterion.field == "legal_form":
        return "(a.form = b.form)"
    if criterion.method != "fuzzy":
        return "(a.core = b.core)"
    # a digit makes another company: Holding 1 and Holding 2 are no typo
    typo = f"(a.digits = b.digits and {_near('a.core', 'b.core', shortest=6)})"
    high = f"a.core = b.core or a.word_set = b.word_set or a.letters = b.letters or {typo}"
    medium = (
        f"{high} or (a.digits = b.digits and least(length(a.core), length(b.core)) >= 12 and levenshtein(a.core, b.core) <= 2)"
        " or (a.first_word = b.first_word and length(a.first_word) >= 4 and least(length(a.core), length(b.core)) >= 4"
        " and (a.core like b.core || ' %' or b.core like a.core || ' %'))"
    )
    low = f"{medium} or a.first_word = b.first_word"
    return "(" + {"high": high, "medium": medium, "low": low}[criterion.precision or "high"] + ")"


def _individual(criterion: Criterion) -> str:
    same_given, near_given = f"(a.given = b.given or (nick.a is not null and not {_TWO_NAMES}))", _near_given()
    near_family = f"(a.family = b.family or {_near('a.family', 'b.family', letters='family_letters')})"
    if criterion.field == "first_name":
        return "a.given = b.given" if criterion.method != "fuzzy" else f"({same_given} or {near_given})"
    if criterion.field == "last_name":
        return "a.family = b.family" if criterion.method != "fuzzy" else near_family
    if criterion.method != "fuzzy":
        return "(a.given = b.given and a.family = b.family and a.suffix = b.suffix)"
    swapped = "(a.given = b.family and a.family = b.given)"
    alike = f"({same_given} and {near_family}) or (a.family = b.family and {near_given}) or {swapped}"
    # Jr. and nothing: father and son, or one person who does not always write it
    high = f"a.suffix = b.suffix and ({alike})"
    initial = "(a.family = b.family and (length(a.given) = 1 or length(b.given) = 1) and substr(a.given, 1, 1) = substr(b.given, 1, 1))"
    married = (
        f"({same_given} and least(length(a.family), length(b.family)) >= 4"
        " and (a.family like b.family || '%' or b.family like a.family || '%'"
        " or a.family like '%' || b.family or b.family like '%' || a.family))"
    )
    medium = f"{alike} or ({near_given} and {near_family}) or {initial} or {married}"
    low = f"{medium} or ({near_family} and substr(a.given, 1, 1) = substr(b.given, 1, 1)) or {same_given}"
    return "(" + {"high": high, "medium": medium, "low": low}[criterion.precision or "high"] + ")"


def _near(left: str, right: str, *, shortest: int = SHORTEST_TYPO, letters: str | None = None) -> str:
    """One letter more, less or other, or two neighbours swapped (same letters, two changes)."""
    swapped = f" or (a.{letters} = b.{letters} and levenshtein({left}, {right}) <= 2)" if letters else ""
    return (
        f"(least(length({left}), length({right})) >= {shortest} and abs(length({left}) - length({right})) <= 1"
        f" and (levenshtein({left}, {right}) <= 1{swapped}))"
    )


def _near_given() -> str:
    """A typo in the given name, unless both are names: Daniel and Daniela, Mario and Maria live at one address."""
    longer = "case when length(a.given) > length(b.given) then a.given else b.given end"
    shorter = "case when length(a.given) > length(b.given) then b.given else a.given end"
    last = f"substr({longer}, length({longer}), 1)"
    gendered = (
        f"(length(a.given) <> length(b.given) and {longer} like {shorter} || '_' and {last} in ('a', 'e', 'i', 'o'))"
        " or (length(a.given) = length(b.given) and substr(a.given, 1, length(a.given) - 1) = substr(b.given, 1, length(b.given) - 1)"
        " and substr(a.given, length(a.given), 1) in ('a', 'e', 'i', 'o') and substr(b.given, length(b.given), 1) in ('a', 'e', 'i', 'o'))"
    )
    return f"({_near('a.given', 'b.given', letters='given_letters')} and not ({gendered}) and not {_IN_USE})"
