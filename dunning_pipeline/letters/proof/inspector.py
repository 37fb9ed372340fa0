"""Which merge fields a template uses, what each holds in a document, where it comes from and what it falls back to."""

import re
from collections.abc import Mapping
from typing import Any

from dunning_pipeline.letters.compiling import TemplateVersion
from dunning_pipeline.letters.fields import field_paths

_ORIGINS = {
    "statement": "ledger: statements",
    "totals": "ledger: statements",
    "items": "ledger: statement_details; data graph: invoices",
    "charges": "ledger: statement_details",
    "credits": "ledger: statement_details",
    "account": "data graph: account",
    "bill_group": "data graph: bill_group",
    "contact": "data graph: contacts (first To address)",
    "address": "ledger: statements.address",
    "company": "policies/company.yaml",
    "payment": "policies/company.yaml; statement number",
    "received": "data graph: payments",
    "links": "made for each recipient when it is sent",
    "texts": "ledger: statements.texts (written by hand)",
}
_DEFAULT = re.compile(r"\|\s*d(?:efault)?\(([^)]*)\)")


def used_fields(version: TemplateVersion, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per field: field, value, origin, fallback, used (how often)."""
    source = " ".join(text for part, text in version.compiled.items() if isinstance(text, str) and part != "layout")
    constructs = re.findall(r"\{\{.*?\}\}|\{%.*?%\}", source, re.DOTALL)
    rows = []
    for path in field_paths():
        root, _, last = path.partition(".")
        written = path if "[]" not in path else f"{root.removesuffix('[]').rstrip('s')}.{last}"
        pattern = re.compile(rf"(?<![\w.]){re.escape(written)}(?![\w.])")
        using = [construct for construct in constructs if pattern.search(construct)]
        if using:
            fallbacks = {match[1] for construct in using for match in _DEFAULT.finditer(construct)}
            rows.append(
                {
                    "field": path,
                    "value": _value(document, path),
                    "origin": _ORIGINS.get(root.removesuffix("[]"), "ledger: statements"),
                    "fallback": ", ".join(sorted(fallbacks)),
                    "used": len(using),
                }
            )
    return rows


def _value(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for step in path.split("."):
        name = step.removesuffix("[]")
        value = value.get(name) if isinstance(value, Mapping) else None
        if step.endswith("[]"):
            value = value[0] if value else None
    return value
