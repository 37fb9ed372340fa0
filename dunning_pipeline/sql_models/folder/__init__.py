"""The analysts' folder as text: its files, their Jinja, what a person selects, and where DuckDB found fault."""
