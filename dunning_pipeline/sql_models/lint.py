"""`python -m dunning_pipeline.sql_models.lint FOLDER`: what would not run the same elsewhere, and what reads badly.

The portable subset is what DuckDB and Spark (through sqlglot) answer alike; each rule was a measured difference.
`-- lint: allow RULE: reason` in a file excuses it from a rule.
"""

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import sqlglot
from sqlglot import exp

from dunning_pipeline.errors import DunningError
from dunning_pipeline.sql_models.folder.project import WATERFALLS, Model, Project, load_project
from dunning_pipeline.sql_models.runner import Renderer

LONGEST = 100  # lines of a file; 80 is the aim
PROSE_FOLDERS = ("segments", "reports", "data_graph", "unified")  # every step has a name, the last line only selects it
_ALLOW = re.compile(r"--[ ]*lint:[ ]*allow[ ]+([\w-]+):[ ]*\S")
_CLOCK = ("CURRENT_DATE", "CURRENT_TIMESTAMP", "NOW", "TODAY", "LOCALTIME", "LOCALTIMESTAMP", "RANDOM", "UUID")


@dataclass(frozen=True)
class Finding:
    """One place in one file that breaks a rule."""

    file: Path
    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.rule}: {self.message}"


@dataclass(frozen=True)
class Rule:
    """A construct to avoid: how it is found in the syntax tree, the word that marks its line, what to write instead."""

    name: str
    word: str
    instead: str
    matches: Callable[[exp.Expr], bool]


def _named(*names: str) -> Callable[[exp.Expr], bool]:
    wanted = {name.upper() for name in names}
    return lambda node: isinstance(node, exp.Func) and _function_name(node) in wanted


def _function_name(node: exp.Expr) -> str:
    return (
        (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).upper()
        if isinstance(node, exp.Func)
        else ""
    )


def _ordered_list(node: exp.Expr) -> bool:
    return isinstance(node, exp.ArrayAgg | exp.List) and node.find(exp.Order) is not None


def _date_parts(node: exp.Expr) -> bool:
    return isinstance(node, exp.DateDiff) and str(node.args.get("unit") or "DAY").strip("'").upper() not in (
        "DAY",
        "DAYS",
    )


def _week_day(node: exp.Expr) -> bool:
    part = isinstance(node, exp.Extract) and node.name.upper() in ("DOW", "ISODOW", "DAYOFWEEK")
    return part or isinstance(node, exp.DayOfWeek | exp.DayOfWeekIso | exp.Dayname)


def _interval_sum(node: exp.Expr) -> bool:
    is_sum = isinstance(node, exp.Add | exp.Sub) and isinstance(node.expression, exp.Interval)
    parent = node.parent.parent if isinstance(node.parent, exp.Paren) else node.parent
    return is_sum and not isinstance(parent, exp.Cast)


def _star_changed(node: exp.Expr) -> bool:
    return isinstance(node, exp.Star) and any(node.args.get(key) for key in ("except_", "except", "replace", "rename"))


RULES = (
    Rule("ordered-list", "list", "list_sort(list({key first …})): ORDER BY inside list() is lost", _ordered_list),
    Rule("date-parts", "date_diff", "year and month arithmetic: only days are counted alike", _date_parts),
    Rule("week-day", "extract", "a calendar table: days of the week are numbered differently", _week_day),
    Rule("hash", "hash", "md5 or sha256", _named("HASH")),
    Rule("percentile", "quantile", "nothing: percentiles are approximate elsewhere",
         lambda node: isinstance(node, exp.PercentileCont | exp.Quantile | exp.Median)),
    Rule("date-interval", "interval", "cast(… as date) around it, or date + days", _interval_sum),
    Rule("epoch", "epoch", "cast(epoch(…) as bigint)",
         lambda node: isinstance(node, exp.TimeToUnix) and not isinstance(node.parent, exp.Cast)),
    Rule("asof-join", "asof", "a join and qualify row_number()",
         lambda node: isinstance(node, exp.Join) and "ASOF" in str(node.args.get("method") or node.kind).upper()),
    Rule("strptime", "strptime", "try_cast(… as timestamp)", _named("TRY_STRPTIME", "STRPTIME", "STR_TO_TIME")),
    Rule("comprehension", "for", "list_transform or a step of its own",
         lambda node: isinstance(node, exp.Comprehension)),
    Rule("generate-series", "generate_series", "select unnest(range(…))",
         lambda node: isinstance(node, exp.GenerateSeries) and isinstance(node.parent, exp.Table | exp.From)),
    Rule("star-changed", "exclude", "the columns by name", _star_changed),
    Rule("pivot", "pivot", "sum(…) filter (where …)", lambda node: isinstance(node, exp.Pivot)),
    Rule("union-by-name", "by", "columns in the same order",
         lambda node: isinstance(node, exp.Union) and bool(node.args.get("by_name"))),
    Rule("clock", "current_date", "run_date(): a model knows no other clock and no chance",
         lambda node: isinstance(node, exp.CurrentDate | exp.CurrentTimestamp | exp.Rand) or _named(*_CLOCK)(node)),
)  # fmt: skip


def lint(folder: Path) -> list[Finding]:
    """Every place in the folder's models that breaks a rule. Raises InvalidDeclaration for broken YAML."""
    project = load_project(folder)
    renderer = Renderer(project, run_date=date(2025, 1, 1))
    models = (m for m in project.models.values() if m.file.name != WATERFALLS)
    return [finding for model in models for finding in lint_model(model, project, renderer)]


def lint_model(model: Model, project: Project, renderer: Renderer) -> Iterator[Finding]:
    """The findings of one model, those that it excuses left out."""
    allowed = set(_ALLOW.findall(model.text))
    for finding in [*_style(model), *_portability(model, renderer)]:
        if finding.rule not in allowed:
            yield finding


def _portability(model: Model, renderer: Renderer) -> Iterator[Finding]:
    try:
        tree = sqlglot.parse_one(renderer.render(model), dialect="duckdb")
    except DunningError as error:
        yield Finding(model.file, error.line or 1, error.column or 1, "unreadable", error.message)
        return
    except sqlglot.errors.SqlglotError as error:
        yield Finding(model.file, 1, 1, "unreadable", str(error).splitlines()[0])
        return
    seen: dict[str, int] = {}
    for node in tree.walk():
        for rule in RULES:
            if rule.matches(node):
                line = _line_of(model.text, rule.word, seen.get(rule.name, 0))
                seen[rule.name] = line
                column = model.text.splitlines()[line - 1].lower().find(rule.word) + 1
                yield Finding(model.file, line, column, rule.name, f"write instead: {rule.instead}")


def _line_of(text: str, word: str, after: int) -> int:
    lines = [n for n, line in enumerate(text.splitlines(), 1) if re.search(word, line, re.IGNORECASE)]
    return next((n for n in lines if n > after), lines[-1] if lines else 1)


def _style(model: Model) -> Iterator[Finding]:
    lines = model.text.rstrip().splitlines()
    if not lines or not lines[0].startswith("--"):
        yield Finding(model.file, 1, 1, "header", "the first line says what the table is")
    if "Grain:" not in model.header:
        yield Finding(model.file, 1, 1, "grain", "the header says `Grain: one row per …`")
    if model.schema == "segments" and model.owner is None:
        yield Finding(model.file, 1, 1, "owner", "the header of a segment says `Owner: …`")
    if len(lines) > LONGEST:
        yield Finding(model.file, LONGEST + 1, 1, "length", f"{len(lines)} lines; 80 are enough for one thought")
    last = next((n for n in range(len(lines), 0, -1) if lines[n - 1].startswith("select")), len(lines))
    if model.schema in PROSE_FOLDERS and not lines[last - 1].startswith("select *"):
        yield Finding(model.file, last, 1, "last-line", "the file ends in `select * from <last step>`")


def main(arguments: list[str]) -> int:
    """Print the findings of the folders named; 1 where there are any."""
    findings = [finding for folder in arguments or ["dbt_like_sql"] for finding in lint(Path(folder))]
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
