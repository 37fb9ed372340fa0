"""Shape of the landing tables: the typed columns of an object as declared, and what is known of each row."""

import duckdb

from dunning_pipeline.data_streams.declaration import StreamSource, table_name
from dunning_pipeline.sql_models.shapes import columns_of, table_exists

SQL_TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "decimal": "DECIMAL(19,4)",
    "rate": "DECIMAL(19,8)",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
}
ROW_STATE = {
    "_source": "VARCHAR",
    "_file": "VARCHAR",
    "_loaded_at": "TIMESTAMP",
    "_modified_at": "TIMESTAMP",
    "_is_deleted": "BOOLEAN",
}


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def landing_table(stream: StreamSource, name: str) -> str:
    return f'landing."{table_name(stream.source, name)}"'


def declared_types(stream: StreamSource, name: str) -> dict[str, str]:
    columns = {column: SQL_TYPES[declared.type] for column, declared in stream.objects[name].columns.items()}
    return columns | ROW_STATE


def existing_types(con: duckdb.DuckDBPyConnection, stream: StreamSource, name: str) -> dict[str, str]:
    """Columns and types of the landing table; empty where there is none."""
    table = table_name(stream.source, name)
    return columns_of(con, "landing", table) if table_exists(con, "landing", table) else {}


def ensure_landing_table(con: duckdb.DuckDBPyConnection, stream: StreamSource, name: str) -> set[str]:
    """Create the table, or bring the columns of an older one to the types that are declared today; its columns."""
    table, present = landing_table(stream, name), existing_types(con, stream, name)
    wanted = declared_types(stream, name)
    if not present:
        con.execute(f"create table {table} ({', '.join(f'{quoted(c)} {t}' for c, t in wanted.items())})")
        return set(wanted)
    by_lower = {column.lower(): data_type for column, data_type in present.items()}
    for column, data_type in wanted.items():
        if by_lower.get(column.lower(), data_type) != data_type:
            con.execute(
                f"alter table {table} alter column {quoted(column)} set data type {data_type} "
                f"using try_cast({quoted(column)} as {data_type})"
            )
    return set(present)


def whole_landing_table(stream: StreamSource, name: str, columns: set[str]) -> str:
    """SQL of the rows with every declared column, null where it is not among its `columns`, and `_row` in its order.

    Columns that never came are not stored: writing empty columns of five million rows costs as much as their amounts.
    """
    present = {column.lower() for column in columns}
    absent = [(c, t) for c, t in declared_types(stream, name).items() if c.lower() not in present]
    empty = "".join(f", cast(null as {data_type}) as {quoted(column)}" for column, data_type in absent)
    return f"(select *, rowid as _row{empty} from {landing_table(stream, name)})"
