"""SQL that types one text column as declared and never guesses: what does not fit becomes null and is rejected."""

from dunning_pipeline.data_streams.declaration import Column, Format
from dunning_pipeline.data_streams.mapping.expressions import business_date_sql

_CURRENCY_SIGN = r"^\s*(?:[A-Za-z]{3}|[€$£¥₣₹]|Fr\.?|kr)\s*|\s*(?:[A-Za-z]{3}|[€$£¥₣₹]|Fr\.?|kr)\s*$"


def typed_sql(raw: str, column: Column, form: Format, *, zone: str) -> str:
    """SQL over the SQL expression `raw` (text, null where empty); null where the text does not fit.

    Instants become UTC. A date with a time of day becomes the business date in `zone`.
    """
    if column.type == "text":
        return raw
    if column.type == "boolean":
        return _boolean(raw, form)
    if column.type == "date":
        return _date(raw, column.format or form.date, zone)
    if column.type == "timestamp":
        return _timestamp(raw, column.format or form.timestamp)
    if column.type == "integer":
        return f"try_cast({raw} as bigint)"
    return _number(raw, column, form, "decimal(19,8)" if column.type == "rate" else "decimal(19,4)")


def reason_for(column: Column, form: Format) -> str:
    """Why a value of this column was rejected, in words."""
    if column.type == "date":
        written = column.format or form.date
        return "not a date (YYYY-MM-DD)" if written == "iso" else f"not a date ({written})"
    if column.type == "timestamp":
        return "not an instant (ISO 8601)"
    if column.type == "boolean":
        return "neither " + "/".join(form.true_values) + " nor " + "/".join(form.false_values)
    if column.type == "integer":
        return "not a whole number"
    mark = column.decimal or form.decimal
    return f"not an amount with decimal {'comma' if mark == ',' else 'point'} as declared"


def misfit_sql(raw: str, value: str, column: Column) -> str:
    """SQL condition: there is a text, and `value` (its typed form) is missing or cannot be meant."""
    if column.type != "date":
        return f"{value} is null and {raw} is not null and trim({raw}) <> ''"
    # '12-01-02' is the year 12 to a database, and 'infinity' a date
    possible = f"{value} between date '1900-01-01' and date '2999-12-31'"
    return f"not coalesce({possible}, false) and {raw} is not null and trim({raw}) <> ''"


def _boolean(raw: str, form: Format) -> str:
    def words(values: tuple[str, ...]) -> str:
        return ", ".join("'" + value.lower().replace("'", "''") + "'" for value in values)

    return (
        f"case when lower(trim({raw})) in ({words(form.true_values)}) then true "
        f"when lower(trim({raw})) in ({words(form.false_values)}) then false end"
    )


def _date(raw: str, form: str, zone: str) -> str:
    if form != "iso":
        return f"cast(try_strptime(trim({raw}), '{form.replace(chr(39), chr(39) * 2)}') as date)"
    instant = _timestamp(raw, "iso")
    return f"case when strlen({raw}) <= 10 then try_cast({raw} as date) else {business_date_sql(instant, zone)} end"


def _timestamp(raw: str, form: str) -> str:
    if form != "iso":
        return f"try_strptime(trim({raw}), '{form.replace(chr(39), chr(39) * 2)}')"
    is_utc = f"suffix({raw}, 'Z') or strlen({raw}) <= 19"
    # the cast with an offset costs twice as much
    return (
        f"case when {is_utc} then try_cast({raw} as timestamp) "
        f"else try_cast({raw} as timestamptz) at time zone 'UTC' end"
    )


def _number(raw: str, column: Column, form: Format, data_type: str) -> str:
    mark = column.decimal or form.decimal
    thousands = column.thousands or form.thousands
    signs = form.currency_signs if column.currency_signs is None else column.currency_signs
    text = (
        f"regexp_replace(trim({raw}), '{_CURRENCY_SIGN}', '', 'g')"
        if signs
        else raw
        if mark == "." and thousands is None
        else f"trim({raw})"
    )
    if mark == "." and thousands is None:
        # DuckDB reads 1_000 as a thousand
        return f"case when not contains({text}, '_') then try_cast({text} as {data_type}) end"
    point = "[.]" if mark == "." else ","
    groups = ""
    if thousands is not None:
        separator = "''" if thousands == "'" else thousands
        groups = f"|[0-9]{{1,3}}([{separator}][0-9]{{3}})+"
    shape = f"^[+-]?([0-9]+{groups})({point}[0-9]+)?$"
    plain = f"replace({text}, '{thousands.replace(chr(39), chr(39) * 2)}', '')" if thousands else text
    plain = f"replace({plain}, ',', '.')" if mark == "," else plain
    return f"case when regexp_matches({text}, '{shape}') then try_cast({plain} as {data_type}) end"
