"""A wrong stream file is refused with file, line and column; expressions stay single, scalar and safe."""

import json
import os
import subprocess
import sys

import pytest

from dunning_pipeline.data_streams.declaration import load_streams
from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.workspace import Workspace
from tests.data_streams.conftest import Inbox, invoice

HEAD = """source: shop
objects:
  buyer:
    key: [id]
    columns: {id: text, name: text, parent: text, since: date}
mappings:
  - dmo: accounts
    object: buyer
    fields:
      account_key: key(id)
      account_id: id
"""


def refused(workspace: Workspace, text: str) -> InvalidDeclaration:
    (workspace.policies / "streams" / "shop.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidDeclaration) as caught:
        load_streams(workspace)
    assert str(caught.value.file).endswith("shop.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("nmae", "column 'nmae' is not declared (did you mean 'name'?)"),
        ("(select max(name) from buyer)", "only a scalar expression"),
        ("max(name)", "only a scalar expression"),
        ("row_number() over ()", "only a scalar expression"),
        ("getenv('HOME')", "getenv() is not among the documented ones"),
        ("read_text('/etc/passwd')", "read_text() is not among the documented ones"),
        ("current_date", "not among the documented ones"),
        ("name; drop table x", "exactly one expression"),
        ("upper(name", "not a SQL expression"),
        ("key_of('sap', id)", "no declared source"),
        ("other.name", "no lookup of this mapping"),
    ],
)
def test_expressions_that_are_refused(workspace: Workspace, expression: str, said: str) -> None:
    error = refused(workspace, HEAD + f'      name: "{expression}"\n')
    assert said in error.message
    assert (error.line, error.column) == (12, 7)


def test_a_field_that_the_data_model_does_not_have(workspace: Workspace) -> None:
    error = refused(workspace, HEAD + "      name: name\n      nickname: name\n")
    assert "accounts has no field 'nickname'" in error.message
    assert error.line == 13


def test_a_needed_field_that_is_not_mapped(workspace: Workspace) -> None:
    assert "accounts needs name" in refused(workspace, HEAD).message


def test_a_relationship_needs_a_key(workspace: Workspace) -> None:
    error = refused(workspace, HEAD + "      name: name\n      parent_account_key: parent\n")
    assert "it points to accounts.account_key: write key(<column>)" in error.message


def test_unknown_keys_and_types(workspace: Workspace) -> None:
    error = refused(workspace, HEAD.replace("key: [id]", "kee: [id]"))
    assert "unknown key" in error.message or "missing" in error.message
    assert "Input should be" in refused(workspace, HEAD.replace("since: date", "since: day")).message
    assert "is not among its columns" in refused(workspace, HEAD.replace("key: [id]", "key: [no]")).message


def test_lookups_and_value_maps(inbox: Inbox) -> None:
    (inbox.workspace.policies / "streams" / "shop.yaml").write_text(
        HEAD.replace("mappings:", "  town:\n    key: [code]\n    columns: {code: text, label: text}\nmappings:")
        + "      name: name\n      city: town.label\n"
        + "      party_type: {from: name, values: {acme: business}, otherwise: consumer, empty: unknown}\n"
        + "    lookups: {town: {object: town, by: parent}}\n",
        encoding="utf-8",
    )
    inbox.drop("shop/buyer.csv", "id,name,parent\n1,ACME,H\n2,Jo,\n")
    inbox.drop("shop/town.csv", "code,label\nH,Hamburg\n")
    inbox.ingest()
    assert inbox.rows("select name, city, party_type from mapped.accounts order by 1") == [
        ("ACME", "Hamburg", "business"),
        ("Jo", None, "consumer"),
    ]


@pytest.mark.slow
def test_the_command_prints_what_happened_and_fails_where_an_object_failed(inbox: Inbox) -> None:
    inbox.invoices(invoice("I1"), invoice("I2", amount="x"))
    command = [sys.executable, "-m", "dunning_pipeline.cli.main", "ingest", "--workspace", str(inbox.workspace.root)]
    environment = {**os.environ, "DUNNING_NOW": "2025-11-03T09:00:00+01:00"}
    done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)[0]
    assert report["source"] == "salesforce" and report["object"] == "Invoice"
    assert [report[f"rows_{name}"] for name in ("read", "loaded", "rejected", "closed")] == [2, 1, 1, 0]
    assert report["reject_file"].endswith("salesforce__invoice.csv")
    inbox.drop("salesforce/Invoice.csv", "Id;Status\n")
    failed = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert failed.returncode == 1
    assert "not loaded, the previous rows stay" in failed.stderr
