"""The same ruleset on Spark: normalisers as Python over distinct values, and the same SQL steps, for more than one machine.

Needs the extra `spark` and Java. The records come as views `<kind>_records` with the columns of steps/records.py.
"""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dunning_pipeline.identity.clustering import cluster_records, describe_records
from dunning_pipeline.identity.rulesets import Ruleset
from dunning_pipeline.identity.steps.records import facts, forms, lookups, names
from dunning_pipeline.identity.steps.step import WORK, Step
from dunning_pipeline.identity.values.registry import NORMALISERS, apply_by_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_TYPES = {"varchar": "string", "bigint": "bigint", "integer": "int", "double": "double"}


class SparkEngine:
    """Runs steps as Spark SQL; tables `schema.name` become temporary views `schema__name`, each cut from its lineage."""

    def __init__(self, spark: "SparkSession", *, folder: str) -> None:
        self.spark = spark
        self.folder = folder
        self.made = 0

    def run(self, step: Step) -> int:
        return self._keep(step.table, self.spark.sql(spark_sql(step.sql)))

    def append(self, step: Step) -> None:
        self._keep(step.table, self.spark.table(view_name(step.table)).unionAll(self.spark.sql(spark_sql(step.sql))))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.spark.sql(spark_sql(sql)).collect()]

    def load(self, table: str, columns: Sequence[tuple[str, str]], rows: Sequence[Sequence[Any]]) -> None:
        schema = ", ".join(f"`{name}` {_TYPES[kind]}" for name, kind in columns)
        self._keep(table, self.spark.createDataFrame([tuple(row) for row in rows], schema))

    def rename(self, table: str, into: str) -> None:
        self.spark.table(view_name(table)).createOrReplaceTempView(view_name(into))

    def drop(self, *tables: str) -> None:
        for table in tables:
            self.spark.catalog.dropTempView(view_name(table))

    def _keep(self, table: str, frame: "DataFrame") -> int:
        """One Spark job per table: its rows are counted while they are written, its columns are known."""
        from pyspark.sql import Observation
        from pyspark.sql.functions import count, lit

        # Parquet cuts the lineage: plans of hundreds of joins would grow without end, and cached ones fill the heap
        self.made += 1
        path = f"{self.folder}/{self.made}"
        counted = Observation()
        frame.observe(counted, count(lit(1)).alias("rows")).write.parquet(path)
        self.spark.read.schema(frame.schema).parquet(path).createOrReplaceTempView(view_name(table))
        return int(counted.get["rows"])


def cluster_on_spark(spark: "SparkSession", ruleset: Ruleset, *, now: datetime, folder: str) -> "DataFrame":
    """record_id → cluster_id of the view `<kind>_records`; the same clusters as in the warehouse, normalisation included.

    `folder` takes the intermediate tables (a shared file system on a cluster). Ids, reconciliation and outputs are made
    where the result is loaded.
    """
    kind = ruleset.kind
    engine = SparkEngine(spark, folder=folder)
    engine.run(Step(f"{WORK}.{kind}_records", f"select * from {kind}_records"))
    engine.run(Step(f"{WORK}.clock", f"select date '{now.date()}' as current_day"))
    for name in dict.fromkeys(known.normaliser for known in lookups(kind)):
        _normalise(engine, kind, name)
    if kind == "individual":
        engine.run(Step("identity_cache.names", names()))
    everything = forms(kind, records=f"{WORK}.{kind}_records", content="r.record_id")
    engine.run(Step(f"identity_cache.{kind}_forms", everything))
    engine.run(facts(kind, content="r.record_id"))
    for table in ("must_link", "cannot_link"):
        columns = [("left_id", "bigint"), ("right_id", "bigint"), ("decision_id", "varchar")]
        engine.load(f"{WORK}.{kind}_{table}", columns, [])
    engine.load(f"{WORK}.{kind}_open_cases", [("record_id", "bigint"), ("open_case", "varchar")], [])
    describe_records(engine, ruleset)
    cluster_records(engine, ruleset)
    return spark.table(view_name(f"{WORK}.{kind}_clusters"))


def _normalise(engine: SparkEngine, kind: str, name: str) -> None:
    """The value cache of one normaliser: its Python function over the distinct raw keys, a batch at a time."""
    columns = NORMALISERS[name].columns
    union = " union ".join(
        f"select distinct {known.raw_key} as raw_key from {WORK}.{kind}_records as r where {known.present}"
        for known in lookups(kind)
        if known.normaliser == name
    )

    def apply(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        types = [pa.int64() if kind == "bigint" else pa.string() for kind in columns.values()]
        for batch in batches:
            rows = apply_by_name(name, batch.column(0).to_pylist())
            values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
            arrays = [pa.array(list(value), kind) for value, kind in zip(values, types, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))

    schema = ", ".join(f"`{column}` {_TYPES[kind]}" for column, kind in columns.items())
    engine._keep(f"identity_cache.{name}", engine.spark.sql(spark_sql(union)).mapInArrow(apply, schema))


def view_name(table: str) -> str:
    return table.replace(".", "__")


def spark_sql(sql: str) -> str:
    """The few places where Spark writes a thing differently: schema names, varchar, the separator character."""
    sql = re.sub(r"\b(identity_work|identity_cache|identity)\.(?=[a-z_])", lambda match: match[1] + "__", sql)
    sql = re.sub(r"\bas varchar\b", "as string", sql)
    sql = re.sub(r"\bhash\(", "xxhash64(", sql)  # of 32 bits there; what is found by it is compared in full
    return sql.replace("\x1f", "\\u001f")
