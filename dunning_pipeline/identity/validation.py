"""Is the ruleset precise enough here? Pairs drawn for labelling, and what their labels say with which confidence."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import csv
import hashlib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from dunning_pipeline.errors import InvalidInput

NEEDED_PAIRS = 3_000  # without an error, this many show a precision of 0.999 at 95 %
CONFIDENCE = 0.95
YES = frozenset(
    {"1", "yes", "y", "true", "same", "match", "ja", "j", "wahr", "gleich", "oui", "vrai", "si", "sí", "sì", "tak"}
)
NO = frozenset({"0", "no", "n", "false", "different", "nein", "falsch", "verschieden", "non", "faux", "nie"})
_NEEDED = ("rule", "tier", "left_record", "right_record", "same")


@dataclass(frozen=True)
class Precision:
    """What labelled pairs of one rule say; `lower` is the one-sided 95 % bound of its precision."""

    rule: str
    tier: str
    pairs: int
    errors: int
    precision: float
    lower: float


def sample_pairs(con: duckdb.DuckDBPyConnection, *, kind: str, pairs: int, seed: int = 0) -> list[dict[str, Any]]:
    """Pairs to label: of every rule (links and suggestions) an equal share, drawn by a hash so that a seed repeats.

    Each row has both records' fields side by side and an empty `same` column, to be filled with yes or no.
    """
    drawn = con.cursor().execute(
        f"""
        with pool as (
            select rule, tier, confidence, left_record, right_record, shared_values from identity.evidence where party_kind = '{kind}'
            union
            select rule, tier, confidence, left_record, right_record, shared_values from identity.suggestions
            where party_kind = '{kind}'
        ),
        placed as (
            select *, row_number() over (partition by rule order by md5(left_record || '|' || right_record || '|{seed}')) as place,
                count(*) over (partition by rule) as rule_pairs
            from pool where rule <> 'decided'
        ),
        counted as (select greatest(1, {pairs} // count(distinct rule)) as share from placed)
        select rule, tier, confidence, left_record, right_record, shared_values, rule_pairs
        from placed, counted where place <= share order by rule, place
        """
    )  # fmt: skip
    columns = [column[0] for column in drawn.description or ()]
    rows = [dict(zip(columns, row, strict=True)) for row in drawn.fetchall()]
    sides = sides_of(con, kind, {row[side] for row in rows for side in ("left_record", "right_record")})
    return [
        {"pair_id": _pair_id(row), **row, "left": sides.get(row["left_record"], ""), "right": sides.get(row["right_record"], ""), "same": ""}
        for row in rows
    ]  # fmt: skip


def labelled_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a labelled CSV as people's spreadsheets write it: comma, semicolon or tab, UTF-8, UTF-16 or cp1252; each
    with its `line`.

    Raises InvalidInput where a column is missing.
    """
    content = file.read_bytes()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    above = 1 if text[:4].casefold() == "sep=" else 0  # Excel's line that names the separator
    text = text.partition("\n")[2] if above else text
    head = text.lstrip().partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    rows: list[dict[str, Any]] = []
    for row in reader:
        rows.append(
            {
                **{str(name or "").strip().casefold(): value for name, value in row.items()},
                "line": reader.line_num + above,
            }
        )
    names = {str(name).strip().casefold() for name in reader.fieldnames or ()}
    if missing := [name for name in _NEEDED if name not in names]:
        raise InvalidInput(
            f"the columns {', '.join(missing)} are missing", file=file, line=1,
            remedy="label a file of `dunning profile sample` or `review --format csv`, and keep its head",
        )  # fmt: skip
    return rows


def measured(labelled: Iterable[Mapping[str, Any]]) -> list[Precision]:
    """Precision per rule from rows with `rule`, `tier` and `same`; rows with an empty `same` are not counted.

    A pair that stands twice counts once. Raises InvalidInput for a label that is neither yes nor no, and for two labels of
    one pair that differ.
    """
    counts: dict[tuple[str, str], list[int]] = {}
    seen: dict[tuple[Any, ...], tuple[bool, int]] = {}
    for at, row in enumerate(labelled, start=2):
        number = row.get("line") or at
        same = is_same(row.get("same"), line=number)
        if same is None:
            continue
        named = tuple(row.get(name) for name in ("rule", "left_record", "right_record"))
        if all(named) and named in seen:
            said, line = seen[named]
            if said != same:
                raise InvalidInput(f"this pair has another label in line {line}", line=number, value=row["same"],
                                   remedy="leave the one that is right")  # fmt: skip
            continue
        seen[named] = (same, number)
        pair = counts.setdefault((str(row["rule"]), str(row["tier"])), [0, 0])
        pair[0] += 1
        pair[1] += not same
    return [
        Precision(rule, tier, pairs, errors, 1 - errors / pairs, lower_bound(pairs, errors))
        for (rule, tier), (pairs, errors) in sorted(counts.items(), key=lambda item: (item[0][1], item[0][0]))
    ]


def is_same(label: Any, *, line: int) -> bool | None:
    """A person's label as a truth, None where nothing is written. Raises InvalidInput for one that is neither yes nor no."""
    written = str(label or "").strip().casefold()
    if written and written not in YES | NO:
        raise InvalidInput(
            "a label is neither yes nor no", line=line, value=written, remedy="write yes, no, or nothing"
        )
    return written in YES if written else None


def verdict(results: Sequence[Precision], tier: str = "B") -> tuple[bool, str]:
    """Whether a tier may merge by itself, and the sentence that says why (not)."""
    mine = [result for result in results if result.tier == tier]
    pairs, errors = sum(r.pairs for r in mine), sum(r.errors for r in mine)
    if not pairs:
        return False, f"No labelled pair is of tier {tier}: it stays a suggestion."
    bound = lower_bound(pairs, errors)
    said = (
        f"{pairs} labelled pairs of tier {tier}, {errors} errors: precision at least {bound:.5f} with 95 % confidence"
    )
    if errors:
        return False, f"{said}. With an error it stays a suggestion: find the rule that made it, tighten it, draw anew."
    if pairs < NEEDED_PAIRS:
        return False, f"{said}. {NEEDED_PAIRS} pairs without an error are needed: label {NEEDED_PAIRS - pairs} more."
    return True, f"{said}. It may be switched on: merge_tiers: [A, {tier}] in policies/identity/."


def lower_bound(pairs: int, errors: int) -> float:
    """One-sided Clopper–Pearson bound of the precision: the smallest that would show so few errors in 5 % of samples."""
    if errors >= pairs:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(errors, pairs, 1 - middle) < 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return low


def _at_most(errors: int, pairs: int, rate: float) -> float:
    """Probability of at most so many errors in so many pairs, each wrong with `rate`."""
    if rate <= 0:
        return 1.0
    if rate >= 1:
        return 0.0
    return math.fsum(
        math.exp(
            math.lgamma(pairs + 1) - math.lgamma(k + 1) - math.lgamma(pairs - k + 1) + k * math.log(rate) + (pairs - k) * math.log1p(-rate)
        )
        for k in range(errors + 1)
    )  # fmt: skip


def sides_of(con: duckdb.DuckDBPyConnection, kind: str, keys: set[str]) -> dict[str, str]:
    fields = "a.name, a.tax_id, a.vat_id, a.email, a.phone, a.website, a.street, a.postal_code, a.city, a.country"
    sql = f"select a.account_key, concat_ws(' · ', {fields}) from data_model.accounts as a where a.account_key in (select unnest(?))"
    if kind == "individual":
        fields = "c.first_name, c.last_name, c.full_name, c.birth_date, c.email, c.phone, c.mobile_phone, c.street, c.postal_code, c.city"
        sql = f"select c.contact_key, concat_ws(' · ', {fields}) from data_model.contacts as c where c.contact_key in (select unnest(?))"
    return dict(con.cursor().execute(sql, [sorted(keys)]).fetchall())


def _pair_id(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{row['left_record']}|{row['right_record']}|{row['rule']}".encode()).hexdigest()[:12]
