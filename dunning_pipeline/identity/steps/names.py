"""Predicates over a pair `p` of named records of one block: when two names are near enough, and what that is made of."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from dunning_pipeline.identity.rulesets import Criterion
from dunning_pipeline.identity.steps.step import WORK

SHORTEST_TYPO = 4  # letters; in shorter names one letter makes another name
_NEAR_FAMILY, _NEAR_GIVEN = (
    f"(abs(length(n.{name}_a) - length(n.{name}_b)) <= 1 and levenshtein(n.{name}_a, n.{name}_b) <= 2)"
    for name in ("family", "given")
)
_SWAPPED = "(n.given_a = n.family_b and n.family_a = n.given_b)"
# what near names of people always have; asked of all pairs that are found, before what costs more
RELATED = (
    f"(n.family_a = n.family_b and (n.given_root_a = n.given_root_b or {_NEAR_GIVEN}))"
    f" or (n.given_root_a = n.given_root_b and {_NEAR_FAMILY}) or {_SWAPPED}"
)
# Numbers that near names have in common: the family name; both words; or the root of the given name, and either end of the
# family name (a typo spares one of them, but two swapped letters in the middle of four).
RELATED_BY = {
    "family_key": "hash(n.family)",
    "words_key": "hash(least(n.given, n.family) || ' ' || greatest(n.given, n.family))",
    "root_key": "hash(n.given_root)",
    "start_key": "hash(substr(n.family, 1, 2))",
    "end_key": "hash(substr(n.family, greatest(length(n.family) - 1, 1), 2))",
    "letters_key": "case when length(n.family) = 4 then hash(n.family_letters) end",
}
_ONE_END = "(b.start_key = a.start_key or b.end_key = a.end_key or b.letters_key = a.letters_key)"


def names_table(kind: str) -> str:
    """Where all is that names are compared by: of people a row per name in the cache, of companies one per account."""
    return "identity_cache.names" if kind == "individual" else f"{WORK}.account_names"


# both given names are common in these records, so neither is a typo of the other
_IN_USE = (
    "(least(ga.given_count, gb.given_count) >= 5"
    " and least(ga.given_count, gb.given_count) * 20 > greatest(ga.given_count, gb.given_count))"
)
# Julia and Julie, though one is also a short form of the other: sisters as often as one person
_TWO_NAMES = f"({_IN_USE} and levenshtein(n.given_a, n.given_b) <= 1)"


def name_predicate(kind: str, criteria: tuple[Criterion, ...], *, form_matters: bool) -> str:
    """SQL boolean over `p` that all name criteria hold; true without criteria. Of people, `p` has the `likenesses`, of companies the names."""
    parts = [_criterion(kind, criterion) for criterion in criteria]
    if kind == "account" and form_matters:
        parts.append("(p.form_a is null or p.form_b is null or p.form_a = p.form_b)")
    return " and ".join(parts) or "true"


def finds_related(criteria: tuple[Criterion, ...]) -> bool:
    """Whether two people's names that satisfy the criteria are always `RELATED`."""
    return any(
        c.field == "name" and c.method == "fuzzy" and c.precision == "high" and c.blank != "match" for c in criteria
    )


def found_by(criteria: tuple[Criterion, ...]) -> list[tuple[str, str]]:
    """Ways in which any two people `a`, `b` with near names are found: (equality to join by, what else must hold), no pair twice."""
    if not finds_related(criteria):
        return [("true", "true")]
    return [
        ("b.family_key = a.family_key", "true"),
        ("b.words_key = a.words_key", "b.family_key <> a.family_key"),
        ("b.root_key = a.root_key", f"b.family_key <> a.family_key and b.words_key <> a.words_key and {_ONE_END}"),
    ]


def _criterion(kind: str, criterion: Criterion) -> str:
    predicate = _account(criterion) if kind == "account" else _individual(criterion)
    if criterion.blank == "match":
        return f"(p.name_id_a = 0 or p.name_id_b = 0 or {predicate})"
    return predicate


def _account(criterion: Criterion) -> str:
    if criterion.field == "legal_form":
        return "(p.form_a = p.form_b)"
    if criterion.method != "fuzzy":
        return "(p.core_a = p.core_b)"
    # a digit makes another company: Holding 1 and Holding 2 are no typo
    typo = f"(p.digits_a = p.digits_b and {_near('p.core_a', 'p.core_b', shortest=6)})"
    high = f"p.core_a = p.core_b or p.word_set_a = p.word_set_b or p.letters_a = p.letters_b or {typo}"
    medium = (
        f"{high} or (p.digits_a = p.digits_b and least(length(p.core_a), length(p.core_b)) >= 12 and levenshtein(p.core_a, p.core_b) <= 2)"
        " or (p.first_word_a = p.first_word_b and length(p.first_word_a) >= 4 and least(length(p.core_a), length(p.core_b)) >= 4"
        " and (p.core_a like p.core_b || ' %' or p.core_b like p.core_a || ' %'))"
    )
    low = f"{medium} or p.first_word_a = p.first_word_b"
    return "(" + {"high": high, "medium": medium, "low": low}[criterion.precision or "high"] + ")"


def _individual(criterion: Criterion) -> str:
    if criterion.field == "first_name":
        given = "p.equal_given" if criterion.method != "fuzzy" else "(p.same_given or p.near_given)"
        return f"(p.equal_suffix and {given})"
    if criterion.field == "last_name":
        return "p.equal_family" if criterion.method != "fuzzy" else "p.near_family"
    if criterion.method != "fuzzy":
        return "(p.equal_given and p.equal_family and p.equal_suffix)"
    alike = "(p.same_given and p.near_family) or (p.equal_family and p.near_given) or p.swapped"
    # Jr. and nothing: father and son, or one person who does not always write it
    high = f"p.equal_suffix and ({alike})"
    wider = (
        f"{alike} or (p.near_given and p.near_family) or (p.equal_family and p.initial) or (p.same_given and p.married)"
    )
    medium = f"p.equal_suffix and ({wider})"
    low = f"{wider} or (p.near_family and p.same_letter) or p.same_given"
    return "(" + {"high": high, "medium": medium, "low": low}[criterion.precision or "high"] + ")"


def likenesses(near: str) -> dict[str, str]:
    """Column → SQL of what the predicate `near` asks about a pair `n` of people's names, each found out once.

    In a CASE, databases ask what costs more only of the pairs that are left.
    """
    return {
        name: f"case when {sql} then true else false end" for name, sql in _likenesses().items() if f"p.{name}" in near
    }


def _likenesses() -> dict[str, str]:
    return {
        "equal_given": "n.given_a = n.given_b",
        "equal_family": "n.family_a = n.family_b",
        "equal_suffix": "n.suffix_a = n.suffix_b",
        "same_given": f"(n.given_a = n.given_b or (nick.a is not null and not {_TWO_NAMES}))",
        "near_given": _near_given(),
        "near_family": f"(n.family_a = n.family_b or {_near('n.family_a', 'n.family_b', letters='n.family_letters')})",
        "swapped": "(n.given_a = n.family_b and n.family_a = n.given_b)",
        "initial": "((length(n.given_a) = 1 or length(n.given_b) = 1) and substr(n.given_a, 1, 1) = substr(n.given_b, 1, 1))",
        "married": (
            "(least(length(n.family_a), length(n.family_b)) >= 4"
            " and (n.family_a like n.family_b || '%' or n.family_b like n.family_a || '%'"
            " or n.family_a like '%' || n.family_b or n.family_b like '%' || n.family_a))"
        ),
        "same_letter": "substr(n.given_a, 1, 1) = substr(n.given_b, 1, 1)",
    }


def _near(left: str, right: str, *, shortest: int = SHORTEST_TYPO, letters: str | None = None) -> str:
    """One letter more, less or other, or two neighbours swapped (same letters, two changes)."""
    swapped = f" or ({letters}_a = {letters}_b and levenshtein({left}, {right}) <= 2)" if letters else ""
    return (
        f"(least(length({left}), length({right})) >= {shortest} and abs(length({left}) - length({right})) <= 1"
        f" and (levenshtein({left}, {right}) <= 1{swapped}))"
    )


def _near_given() -> str:
    """A typo in the given name, unless both are names: Daniel and Daniela, Mario and Maria live at one address."""
    longer = "case when length(n.given_a) > length(n.given_b) then n.given_a else n.given_b end"
    shorter = "case when length(n.given_a) > length(n.given_b) then n.given_b else n.given_a end"
    last = f"substr({longer}, length({longer}), 1)"
    gendered = (
        f"(length(n.given_a) <> length(n.given_b) and {longer} like {shorter} || '_' and {last} in ('a', 'e', 'i', 'o'))"
        " or (length(n.given_a) = length(n.given_b) and substr(n.given_a, 1, length(n.given_a) - 1) = substr(n.given_b, 1, length(n.given_b) - 1)"
        " and substr(n.given_a, length(n.given_a), 1) in ('a', 'e', 'i', 'o') and substr(n.given_b, length(n.given_b), 1) in ('a', 'e', 'i', 'o'))"
    )
    near = _near("n.given_a", "n.given_b", letters="n.given_letters")
    return f"(n.given_a <> n.given_b and {near} and not ({gendered}) and not {_IN_USE})"
