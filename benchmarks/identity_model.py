"""Trains the model that ships as policies/identity/individuals.splink.json: offline, once, and only on purpose.

`python -m benchmarks.identity_model DIR [--out FILE]`: DIR holds febrl_dataset1.csv and splink_fake_1000.csv. With a fifth of the
records of a generated population they are learnt from without their truth; the same versions of Splink and DuckDB give the same numbers.
"""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import argparse
from pathlib import Path

import duckdb
import pyarrow as pa

from benchmarks.identity_population import load_people
from dunning_pipeline.identity import resolve
from dunning_pipeline.identity.scoring import people_sql, train_model
from tests.identity.conftest import NOW, ROOT, Parties
from tests.identity.test_real_data import load_fake_1000, load_febrl


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--out", type=Path, default=ROOT / "policies" / "identity" / "individuals.splink.json")
    options = asked.parse_args()
    train_model(duckdb.connect(), training_people(options.folder), options.out)


def training_people(folder: Path) -> pa.Table:
    """The three sets one after the other, normalised as the product does it."""
    sets = []
    for number in range(3):
        parties = Parties()
        if number == 0:
            load_febrl(parties, folder / "febrl_dataset1.csv")
        elif number == 1:
            load_fake_1000(parties, folder / "splink_fake_1000.csv")
        else:
            load_people(parties.con, 20_000, seed=5)
        resolve(parties.con, None, run_id="training", now=NOW, rulesets=parties.rulesets, processes=1, keep_work=True)
        part = "where unique_id % 5 = 0" if number == 2 else ""  # else the generated people would outweigh the others
        renumbered = f"select unique_id + {number * 1_000_000} as unique_id, * exclude (unique_id) from ({people_sql()}) {part} order by 1"
        sets.append(parties.con.sql(renumbered).to_arrow_table())
    return pa.concat_tables(sets, promote_options="permissive")


if __name__ == "__main__":
    main()
