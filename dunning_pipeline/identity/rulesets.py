"""Reads policies/identity/*.yaml: match rules, guards, constraints and reconciliation, each mistake with file and line."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.company import Declared
from dunning_pipeline.settings.yaml_files import position, read_yaml, validated

Kind = Literal["account", "individual"]
Tier = Literal["A", "B", "C"]
Precision = Literal["high", "medium", "low"]

# fields that hold an identifier, and those that say who bears the name
IDENTIFIERS: dict[str, frozenset[str]] = {
    "individual": frozenset(
        {"email", "phone", "mobile", "address", "birth_date", "individual_key", "account", "postal_code", "city"}
    ),
    "account": frozenset(
        {
            "tax_id",
            "vat_id",
            "registry_number",
            "lei",
            "account_number",
            "email",
            "phone",
            "domain",
            "address",
            "postal_code",
            "city",
        }
    ),
}
NAMES: dict[str, frozenset[str]] = {
    "individual": frozenset({"name", "first_name", "last_name"}),
    "account": frozenset({"name", "legal_form"}),
}
# identifiers that somebody assigned to one party: they may stand beside a blank name
PARTY_IDENTIFIERS = frozenset({"tax_id", "vat_id", "registry_number", "lei", "account_number", "individual_key"})
# a place or a day alone is shared by thousands: such a rule needs a second field of another kind to merge
WEAK_IDENTIFIERS = frozenset({"birth_date", "postal_code", "city"})
ATTRIBUTES: dict[str, frozenset[str]] = {
    "individual": frozenset({"birth_date", "generation"}),
    "account": frozenset({"tax_id", "vat_id", "lei", "registry_number", "legal_form"}),
}


class Criterion(Declared):
    field: str
    method: Literal["exact", "exact_normalized", "fuzzy"]
    precision: Precision | None = None
    blank: Literal["no_match", "match"] = "no_match"


class MatchRule(Declared):
    """All criteria must hold. `when_unambiguous`: profiles are joined only where exactly one fits."""

    rule: str = Field(pattern="^[a-z][a-z0-9_]*$")
    tier: Tier
    criteria: tuple[Criterion, ...] = Field(min_length=1)
    when_unambiguous: bool = False
    use_family_values: bool = False  # also e-mails and phones that several members of one family share
    unless_conflict: tuple[str, ...] = ()
    confidence: float | None = Field(default=None, gt=0, le=1)

    @property
    def identifiers(self) -> tuple[str, ...]:
        return tuple(c.field for c in self.criteria if c.field not in ("name", "first_name", "last_name", "legal_form"))

    @property
    def names(self) -> tuple[Criterion, ...]:
        return tuple(c for c in self.criteria if c.field in ("name", "first_name", "last_name", "legal_form"))

    @property
    def certainty(self) -> float:
        """Confidence shown beside a link: the declared one, else that of the tier."""
        return self.confidence or {"A": 0.9999, "B": 0.999, "C": 0.9}[self.tier]


class Guards(Declared):
    names_per_value: dict[str, int | None] = Field(default_factory=dict)  # null: no limit
    cluster_size: int = Field(default=100, ge=2)


class Constraints(Declared):
    at_most_one: tuple[str, ...] = ()


class Reconcile(Declared):
    rule: Literal["last_updated", "most_frequent", "source_priority"]
    ignore_empty: bool = True
    sources: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _sources_are_named(self) -> "Reconcile":
        if self.rule == "source_priority" and not self.sources:
            raise ValueError("source_priority needs `sources`, the best first")
        return self


class Reconciliation(Declared):
    default: Reconcile = Reconcile(rule="last_updated")
    fields: dict[str, Reconcile] = Field(default_factory=dict)

    def of(self, field: str) -> Reconcile:
        return self.fields.get(field, self.default)


class Probabilistic(Declared):
    """A trained Splink model whose pairs at or above `threshold` are suggested; it never merges. People only."""

    model: str  # file beside the ruleset
    threshold: float = Field(default=0.5, gt=0, lt=1)


class Ruleset(Declared):
    ruleset: str
    kind: Kind
    version: str
    merge_tiers: tuple[Literal["A", "B"], ...] = ("A",)
    guards: Guards = Guards()
    constraints: Constraints = Constraints()
    match_rules: tuple[MatchRule, ...]
    reconciliation: Reconciliation = Reconciliation()
    probabilistic: Probabilistic | None = None

    @property
    def merging(self) -> tuple[MatchRule, ...]:
        return tuple(rule for rule in self.match_rules if rule.tier in self.merge_tiers)

    @property
    def suggesting(self) -> tuple[MatchRule, ...]:
        return tuple(rule for rule in self.match_rules if rule.tier not in self.merge_tiers)


def load_ruleset(folder: Path, kind: str) -> Ruleset:
    """The ruleset of one kind in `policies/identity/`; raises InvalidDeclaration with file, line and column."""
    file = folder / f"{kind}s.yaml"
    tree = read_yaml(file)
    ruleset = validated(Ruleset, tree, file)
    for path, message, remedy in _mistakes(ruleset, kind):
        line, column = position(tree, path)
        raise InvalidDeclaration(message, file=file, line=line, column=column, remedy=remedy)
    return ruleset


def _mistakes(ruleset: Ruleset, kind: str) -> list[tuple[tuple[str | int, ...], str, str]]:
    if ruleset.probabilistic and kind != "individual":
        return [
            (("probabilistic",), "only people are scored by a model", "remove it: no company model was good enough")
        ]
    if ruleset.kind != kind:
        return [(("kind",), f"this file must declare kind {kind}", f"write `kind: {kind}`")]
    found: list[tuple[tuple[str | int, ...], str, str]] = []
    names = [rule.rule for rule in ruleset.match_rules]
    for index, rule in enumerate(ruleset.match_rules):
        at = ("match_rules", index)
        if names.index(rule.rule) != index:
            found.append(((*at, "rule"), f"two rules are called {rule.rule!r}", "give each rule its own name"))
        found += [((*at, *path), *text) for path, text in _rule_mistakes(rule, kind)]
    for index, name in enumerate(ruleset.constraints.at_most_one):
        if name not in ATTRIBUTES[kind]:
            known = ", ".join(sorted(ATTRIBUTES[kind]))
            found.append(
                (("constraints", "at_most_one", index), f"{name!r} cannot be a constraint", f"choose from {known}")
            )
    for name in ruleset.guards.names_per_value:
        if name not in IDENTIFIERS[kind]:
            known = ", ".join(sorted(IDENTIFIERS[kind]))
            found.append((("guards", "names_per_value", name), f"{name!r} is no identifier", f"choose from {known}"))
    return found


def _rule_mistakes(rule: MatchRule, kind: str) -> list[tuple[tuple[str | int, ...], tuple[str, str]]]:
    found: list[tuple[tuple[str | int, ...], tuple[str, str]]] = []
    known = IDENTIFIERS[kind] | NAMES[kind]
    for index, criterion in enumerate(rule.criteria):
        at = ("criteria", index)
        if criterion.field not in known:
            found.append(
                ((*at, "field"), (f"unknown field {criterion.field!r}", "choose from " + ", ".join(sorted(known))))
            )
        elif criterion.method == "fuzzy" and criterion.field not in NAMES[kind] - {"legal_form"}:
            found.append(((*at, "method"), ("only names are compared fuzzily", "use exact or exact_normalized")))
        elif (criterion.method == "fuzzy") != (criterion.precision is not None):
            found.append(
                (at, ("`precision` belongs to the method fuzzy, and is needed there", "write high, medium or low"))
            )
    for index, name in enumerate(rule.unless_conflict):
        if name not in known:
            found.append(
                (("unless_conflict", index), (f"unknown field {name!r}", "choose from " + ", ".join(sorted(known))))
            )
    if rule.unless_conflict and not rule.when_unambiguous:
        found.append(
            (("unless_conflict",), ("`unless_conflict` is looked at between profiles", "add `when_unambiguous: true`"))
        )
    if rule.tier in ("A", "B"):
        found += _merge_mistakes(rule)
    return found


def _merge_mistakes(rule: MatchRule) -> list[tuple[tuple[str | int, ...], tuple[str, str]]]:
    """What may merge needs an identifier that is more than a place or a day, and a name."""
    remedy = "add a criterion, or make it tier C, which only suggests"
    strong = [name for name in rule.identifiers if name not in WEAK_IDENTIFIERS]
    if not strong and len(rule.identifiers) < 2:
        return [(("tier",), (f"tier {rule.tier} needs an identifier and a name; this rule has no identifier", remedy))]
    named = [c for c in rule.names if c.field != "legal_form"]
    if not named:
        return [(("tier",), (f"tier {rule.tier} needs an identifier and a name; this rule has no name", remedy))]
    if all(c.blank == "match" for c in named) and not PARTY_IDENTIFIERS & set(rule.identifiers):
        return [(("tier",), ("a blank name may match only beside a party identifier", remedy))]
    return []
