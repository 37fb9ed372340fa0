"""The merge fields: their names, what they hold, and the check that a template names only fields there are."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jinja2 import nodes

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.letters.markup.including import Place

_ADDRESS = dict.fromkeys(("street", "postal_code", "city", "state", "country"))
_BANK = dict.fromkeys(("holder", "iban", "bic", "bank_name"))

_ITEM = """invoice_id invoice_number instalment instalments level invoice_date due_date days_overdue original_amount
paid_amount open_amount advances reference description payment_link"""
_CHARGE = "type invoice_number instalment level amount reference calculation"

# Made for one recipient when it is sent: no stored document has it.
AT_SENDING: dict[str, Any] = {"links": {"preferences": None}}
_SUM = dict.fromkeys(("currency", "open_amount", "overdue_amount", "credit_amount", "item_count"))
_DIGEST_ITEM = "invoice_id invoice_number instalment due_date days_overdue currency open_amount"
# Of a campaign that consolidates by contact point: only its documents have them.
IN_DIGESTS: dict[str, Any] = {
    "digest": {
        **dict.fromkeys(("account_count", "item_count", "days_overdue")),
        "sums": [{**_SUM, "account_count": None}],
    },
    "accounts": [
        {
            **dict.fromkeys(("key", "id", "number", "name", "item_count", "days_overdue")),
            "sums": [_SUM],
            "items": [dict.fromkeys(_DIGEST_ITEM.split())],
        }
    ],
}
# The shape of the merge document: a dict is a group of fields, a list of one dict a table of rows, None a value.
SHAPE: dict[str, Any] = {
    "schema": None,
    "language": None,
    "locale": None,
    "currency": None,
    "time_zone": None,
    "statement": dict.fromkeys(
        ("id", "number", "kind", "date", "deadline", "level", "level_name", "process", "template")
    ),
    "totals": dict.fromkeys(
        ("principal", "credits", "interest", "fees", "please_pay", "charges", "item_count", "days_overdue")
    ),
    "items": [
        dict.fromkeys(_ITEM.split()),
    ],
    "charges": [dict.fromkeys(_CHARGE.split())],
    "credits": [dict.fromkeys(("reference", "date", "amount"))],
    "account": dict.fromkeys(("id", "name", "number", "party_type", "vat_id", "owner")),
    "bill_group": dict.fromkeys(("id", "name")),
    "contact": dict.fromkeys(("salutation", "first_name", "last_name", "full_name", "email")),
    "address": {"name": None, **_ADDRESS},
    "company": {
        **dict.fromkeys(("name", "email", "phone", "website", "vat_id", "registry", "logo", "postal_line")),
        "address": _ADDRESS,
        "bank": _BANK,
    },
    "payment": {**dict.fromkeys(("link", "reference")), **_BANK},
    "received": {"amount": None, "currency": None, "date": None, "invoice_numbers": []},
    "texts": dict.fromkeys(("subject", "opening", "closing", "sms")),
    **AT_SENDING,
    **IN_DIGESTS,
}
_FREE = object()  # a value whose fields are not declared (a segment's row, `calculation`)


def field_paths(shape: Any = SHAPE, prefix: str = "") -> list[str]:
    """Every field as a template writes it: statement.number, items[].open_amount, …"""
    if isinstance(shape, dict):
        return [path for name, inner in shape.items() for path in field_paths(inner, f"{prefix}.{name}".lstrip("."))]
    if isinstance(shape, list):
        return [path for inner in shape for path in field_paths(inner, f"{prefix}[]")] or [f"{prefix}[]"]
    return [prefix]


def nearest(name: str) -> str | None:
    """The field whose name or last part is most like `name`."""
    paths = field_paths()
    by_last = {path.split(".")[-1]: path for path in reversed(paths)}
    found = get_close_matches(name, paths, 1) or [
        by_last[last] for last in get_close_matches(name.split(".")[-1], by_last, 1)
    ]
    return found[0] if found else None


def check_fields(tree: nodes.Template, places: Mapping[str, Place], file: Path) -> None:
    """Refuses a field that no merge document has, with its file, line, column and the nearest real field.

    Raises InvalidDeclaration. Names that the template sets itself are free.
    """
    _Checker(places, file).visit(tree, dict(SHAPE))


class _Checker:
    def __init__(self, places: Mapping[str, Place], file: Path) -> None:
        self.places, self.file = places, file

    def visit(self, node: nodes.Node, scope: dict[str, Any]) -> None:
        if isinstance(node, nodes.For):
            self.visit(node.iter, scope)
            inner = {**scope, "loop": _FREE}
            self.bind(node.target, _row(self.shape(node.iter, scope)), inner)
            for child in (*([node.test] if node.test else []), *node.body):
                self.visit(child, inner)
            for child in node.else_:
                self.visit(child, scope)
        elif isinstance(node, nodes.Assign):
            self.visit(node.node, scope)
            self.bind(node.target, self.shape(node.node, scope), scope)
        elif isinstance(node, nodes.Macro):
            inner = {**scope, **{argument.name: _FREE for argument in node.args}}
            for child in node.body:
                self.visit(child, inner)
            scope[node.name] = _FREE
        else:
            if isinstance(node, nodes.Name | nodes.Getattr):
                self.shape(node, scope)
            for child in node.iter_child_nodes():
                if not (isinstance(node, nodes.Getattr) and isinstance(child, nodes.Name | nodes.Getattr)):
                    self.visit(child, scope)

    def bind(self, target: nodes.Node, shape: Any, scope: dict[str, Any]) -> None:
        names = list(target.find_all(nodes.Name)) if not isinstance(target, nodes.Name) else [target]
        for name in names:
            scope[name.name] = shape if len(names) == 1 else _FREE

    def shape(self, node: nodes.Node, scope: dict[str, Any]) -> Any:
        if isinstance(node, nodes.Name):
            if node.ctx == "load" and node.name not in scope and node.name != "range":
                raise self.unknown(node.name)
            return scope.get(node.name, _FREE)
        if isinstance(node, nodes.Getattr):
            if isinstance(node.node, nodes.Name) and node.node.name not in scope and node.node.name != "range":
                raise self.unknown(_written(node))
            inner = self.shape(node.node, scope)
            if isinstance(inner, dict) and node.attr not in inner:
                raise self.unknown(f"{_written(node.node)}.{node.attr}")
            return inner[node.attr] if isinstance(inner, dict) else _FREE
        if isinstance(node, nodes.Getitem):
            inner = self.shape(node.node, scope)
            return inner if isinstance(node.arg, nodes.Slice) else _row(inner)
        if isinstance(node, nodes.Filter) and node.node is not None:
            inner = self.shape(node.node, scope)
            keeps = ("counted", "sort", "reverse", "selectattr", "rejectattr", "select", "reject", "list", "unique")
            return inner if node.name in keeps else _row(inner) if node.name in ("first", "last") else _FREE
        return _FREE

    def unknown(self, name: str) -> InvalidDeclaration:
        found = None
        for wanted in (name, name.split(".")[-1]):
            pattern = re.compile(rf"(?<![\w.]){re.escape(wanted)}(?!\w)" if wanted == name else rf"\b{wanted}\b")
            found = found or next((place for text, place in self.places.items() if pattern.search(text)), None)
        near = nearest(name)
        if name.split(".")[0] == "label":
            message, remedy = (
                "a label stands alone",
                "write it as {{ label.due_date }}, without a filter or a condition",
            )
        else:
            message = f"there is no merge field {name!r}"
            remedy = f"did you mean {near!r}?" if near else "`docs/merge_fields.md` lists them"
        return InvalidDeclaration(
            message,
            file=found.file if found else self.file,
            line=found.line if found else None,
            column=found.column if found else None,
            remedy=remedy,
        )


def _row(shape: Any) -> Any:
    return shape[0] if isinstance(shape, list) and shape else _FREE


def _written(node: nodes.Node) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{_written(node.node)}.{node.attr}"
    return "…"
