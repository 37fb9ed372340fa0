"""The ruleset gives identical clusters in the warehouse and on Spark, normalisation included."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dunning_pipeline.identity import resolve
from tests.identity.conftest import NOW, Parties

RECORDS = 5_000


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("pyspark")
    started = session(tmp_path_factory.mktemp("spark"))
    yield started
    started.stop()


@pytest.mark.java
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["individual", "account"])
def test_the_same_clusters_on_spark(parties: Parties, spark: Any, tmp_path: Path, kind: str) -> None:
    from benchmarks.identity_population import load_companies, load_people
    from dunning_pipeline.identity.spark import cluster_on_spark

    if kind == "individual":
        load_people(parties.con, RECORDS)
    else:
        load_companies(parties.con, RECORDS // 2)
    resolve(parties.con, None, run_id="r", now=NOW, rulesets=parties.rulesets, processes=1, keep_work=True)
    here = parties.rows(f"select record_id, cluster_id from identity_work.{kind}_clusters order by 1")
    records = tmp_path / "records.parquet"
    parties.con.execute(f"copy identity_work.{kind}_records to '{records}' (format parquet)")

    spark.read.parquet(str(records)).createOrReplaceTempView(f"{kind}_records")
    clusters = cluster_on_spark(spark, parties.rulesets[kind], now=NOW, folder=str(tmp_path / "steps"))
    there = sorted(tuple(row) for row in clusters.collect())

    assert there == here


def session(folder: Path) -> Any:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable  # the workers need this environment's libraries
    return (
        SparkSession.builder.master("local[2]").appName("identity").config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2").config("spark.driver.memory", "2g")
        # hundreds of small steps: compiling each to bytecode would take longer than running it
        .config("spark.sql.codegen.wholeStage", "false").config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse")).config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )  # fmt: skip
