"""Reads dbt_like_sql/data_model/schema.yml: the fields, types and relationships that mappings have to fill."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.yaml_files import read_yaml

_REF = re.compile(r"ref\(\s*['\"](\w+)['\"]\s*\)")


@dataclass(frozen=True)
class Field:
    name: str
    data_type: str
    is_required: bool
    refers_to: tuple[str, str] | None  # (DMO, field)


@dataclass(frozen=True)
class DataModelObject:
    name: str
    key: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        return next((field for field in self.fields if field.name == name), None)


def load_data_model(file: Path) -> dict[str, DataModelObject]:
    """All DMOs by name; raises InvalidDeclaration for a file that declares none."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    if text not in _read:
        _read.clear()
        _read[text] = _load(file)
    return _read[text]


_read: dict[str, dict[str, DataModelObject]] = {}  # by the file's text: it changes rarely and is asked for often


def _load(file: Path) -> dict[str, DataModelObject]:
    tree = read_yaml(file)
    if not tree.get("models"):
        raise InvalidDeclaration("declares no data model objects under `models`", file=file, line=1)
    return {model["name"]: _object(model) for model in tree["models"]}


def _object(model: Any) -> DataModelObject:
    fields = tuple(_field(column) for column in model["columns"])
    return DataModelObject(str(model["name"]), str(model["meta"]["key"]), fields)


def _field(column: Any) -> Field:
    tests = column.get("data_tests") or []
    refers_to = None
    for test in tests:
        if isinstance(test, dict) and "relationships" in test:
            arguments = test["relationships"].get("arguments") or test["relationships"]
            found = _REF.search(str(arguments["to"]))
            refers_to = (found.group(1), str(arguments["field"])) if found else None
    return Field(str(column["name"]), str(column["data_type"]).lower(), "not_null" in tests, refers_to)
