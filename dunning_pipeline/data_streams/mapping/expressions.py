"""Checks one mapping expression and turns it into DuckDB SQL: a single scalar expression over declared columns.

Allowed: columns, literals, arithmetic, comparison, CASE, CAST and the functions listed in ALLOWED_FUNCTIONS, plus
key(a, …)            `<source>:a|…`, null where a part is blank
key_of('erp', a, …)  the same with the key of another source
country_code(a)      ISO alpha-2 where the name or code is known, else as written
date_of(timestamp)   the business date of an instant in the company's time zone
modified_at()        the row's time of change (SystemModstamp, LastModifiedDate or as declared)
"""

import re
from functools import lru_cache

import sqlglot
from sqlglot import exp

ALLOWED_FUNCTIONS = frozenset(
    [
        "abs",
        "coalesce",
        "concat",
        "concat_ws",
        "contains",
        "date_add",
        "date_diff",
        "date_part",
        "date_trunc",
        "datediff",
        "day",
        "ends_with",
        "floor",
        "ceil",
        "greatest",
        "least",
        "if",
        "ifnull",
        "iff",
        "left",
        "length",
        "lower",
        "lpad",
        "ltrim",
        "make_date",
        "md5",
        "month",
        "nullif",
        "regexp_extract",
        "regexp_full_match",
        "regexp_matches",
        "regexp_replace",
        "regexp_like",
        "replace",
        "reverse",
        "right",
        "round",
        "rpad",
        "rtrim",
        "split_part",
        "starts_with",
        "strftime",
        "strip_accents",
        "strpos",
        "strptime",
        "substr",
        "substring",
        "trim",
        "try_strptime",
        "try_cast",
        "upper",
        "year",
        "quarter",
        "last_day",
        "sign",
        "time_to_str",
        "str_to_time",
        "str_position",
        "regexp_i_like",
        "extract",
        "ts_or_ds_to_date",
        "case",
        "cast",
        "and",
        "or",
        "not",
    ]
)
OWN_FUNCTIONS = frozenset({"key", "key_of", "country_code", "date_of", "modified_at"})
_SIMPLE_KEY = re.compile(r"key\((\w+)\)")
_FORBIDDEN = (
    exp.Query,
    exp.Subquery,
    exp.AggFunc,
    exp.Window,
    exp.DDL,
    exp.Command,
    exp.Star,
    exp.Parameter,
    exp.Placeholder,
)


class BadExpression(ValueError):
    """The expression is no single scalar expression over the declared columns."""


def compile_expression(
    text: str, *, source: str, columns: dict[str, str], lookups: dict[str, dict[str, str]], zone: str, sources: set[str]
) -> str:
    """`text` as DuckDB SQL over alias `o` (the object) and one alias per lookup.

    `columns` maps lower-case names to the landing table's names, `lookups` does so per lookup.
    Raises BadExpression with the reason.
    """
    simple_key = _SIMPLE_KEY.fullmatch(text.strip())
    if simple_key and simple_key[1].lower() in columns:
        # ids arrive trimmed, null where blank
        return f"""('{source}:' || cast("o".{_quoted(columns[simple_key[1].lower()])} as varchar))"""
    if text.lower() in columns:  # by far the most fields are one column
        return f'"o".{_quoted(columns[text.lower()])}'
    looked_up = tuple((alias, tuple(known.items())) for alias, known in lookups.items())
    return _compiled(text, source, tuple(columns.items()), looked_up, zone, frozenset(sources))


@lru_cache(maxsize=4096)  # a build asks for the same mappings up to three times
def _compiled(
    text: str,
    source: str,
    of_object: tuple[tuple[str, str], ...],
    looked_up: tuple[tuple[str, tuple[tuple[str, str], ...]], ...],
    zone: str,
    sources: frozenset[str],
) -> str:
    columns, lookups = dict(of_object), {alias: dict(known) for alias, known in looked_up}
    try:
        parsed = sqlglot.parse(text, dialect="duckdb")
    except sqlglot.errors.ParseError as error:
        detail = error.errors[0] if error.errors else {}
        raise BadExpression(f"not a SQL expression: {detail.get('description', error)}") from None
    if len(parsed) != 1 or parsed[0] is None:
        raise BadExpression("must be exactly one expression")
    tree = parsed[0]
    for node in tree.walk():
        _refuse_unsafe(node)
    tree = tree.transform(lambda node: _column(node, columns, lookups) if isinstance(node, exp.Column) else node)
    tree = tree.transform(lambda node: _own(node, source, zone, sources) if isinstance(node, exp.Anonymous) else node)
    return f"({tree.sql(dialect='duckdb')})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _refuse_unsafe(node: exp.Expr) -> None:
    if isinstance(node, _FORBIDDEN):
        raise BadExpression(f"{node.sql(dialect='duckdb')[:60]}: only a scalar expression is allowed here")
    if isinstance(node, exp.Anonymous):
        name = node.name.lower()
        if name not in ALLOWED_FUNCTIONS and name not in OWN_FUNCTIONS:
            raise BadExpression(f"function {node.name}() is not among the documented ones")
    elif isinstance(node, exp.Func) and not isinstance(node, exp.Connector):
        names = {name.lower() for name in node.sql_names()} | {node.key}
        if not names & ALLOWED_FUNCTIONS:
            raise BadExpression(f"function {node.sql_name().lower()}() is not among the documented ones")


def _column(node: exp.Column, columns: dict[str, str], lookups: dict[str, dict[str, str]]) -> exp.Expression:
    if node.table:
        if node.table not in lookups:
            raise BadExpression(f"{node.table!r} is no lookup of this mapping")
        known, alias = lookups[node.table], node.table
    else:
        known, alias = columns, "o"
    name = known.get(node.name.lower())
    if name is None:
        from dunning_pipeline.sql_models.folder.templating import nearest  # with Jinja, which a right one does without

        close = nearest(node.name.lower(), known)
        there = ", ".join(sorted(known.values())[:8])
        hint = f"did you mean {known[close]!r}?" if close else f"there are {there} …"
        raise BadExpression(f"column {node.sql()!r} is not declared ({hint})")
    return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(alias, quoted=True))


def _own(node: exp.Anonymous, source: str, zone: str, sources: frozenset[str]) -> exp.Expression:
    name = node.name.lower()
    arguments = [argument.sql(dialect="duckdb") for argument in node.expressions]
    if name == "key_of":
        other = node.expressions[0]
        if not isinstance(other, exp.Literal) or other.name not in sources:
            raise BadExpression(f"key_of: {other.sql()} is no declared source")
        return _parsed(_key(other.name, arguments[1:]))
    if name == "key":
        return _parsed(_key(source, arguments))
    if name == "country_code":
        return _parsed(f"mapped.country_code({arguments[0]})")
    if name == "date_of":
        return _parsed(business_date_sql(arguments[0], zone))
    if name == "modified_at":
        return _parsed('"o"."_modified_at"')
    return node


def business_date_sql(instant: str, zone: str) -> str:
    """SQL for the date of a UTC timestamp in `zone`; midnight UTC is a date that was written as an instant."""
    return (
        f"case when cast({instant} as time) = time '00:00:00' then cast({instant} as date) "
        f"else cast((({instant}) at time zone 'UTC') at time zone '{zone}' as date) end"
    )


def _key(source: str, arguments: list[str]) -> str:
    if not arguments:
        raise BadExpression("key() needs at least one column")
    parts = [f"nullif(trim(cast({argument} as varchar)), '')" for argument in arguments]
    return f"'{source}:' || " + " || '|' || ".join(parts)


def _parsed(sql: str) -> exp.Expression:
    return exp.paren(sqlglot.parse_one(sql, dialect="duckdb"))
