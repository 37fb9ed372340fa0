"""Parses a text with the C parser of libyaml into the tree that ruamel would make of it, about ten times as fast.

Whatever the two libraries could read differently (tags, anchors, merge keys, duplicate keys, directives, a syntax
error) is left to ruamel, which also words every mistake: `quick_tree` then answers with NOT_PLAIN.
"""

import re
from functools import lru_cache
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

NOT_PLAIN: Final = object()
_WORD = re.compile(r"[^\W\d_]")  # numbers, dates and .nan begin otherwise
_DIGITS = re.compile(r"0|-?[1-9][0-9]*")
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")
_NAMED = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
# an anchor, an alias, a tag, a merge key or a directive
_RARE = re.compile(r"(?m)^%|(?:^|[\s\[{,:-])[&*!]\S|<<")


def quick_tree(text: str) -> Any:
    """The tree of CommentedMap and CommentedSeq with line marks, or NOT_PLAIN where ruamel has to read it."""
    if _RARE.search(text) or "\t" in text:
        return NOT_PLAIN
    try:
        import yaml
    except ImportError:  # it comes with Dagster; without it everything is as right, only slower
        return NOT_PLAIN
    if not yaml.__with_libyaml__:
        return NOT_PLAIN
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        return None if root is None else _built(root)
    except (yaml.YAMLError, _Unclear):
        return NOT_PLAIN


class _Unclear(Exception):
    """This text is ruamel's."""


def _built(node: Any) -> Any:
    kind = node.id
    if kind == "scalar":
        return node.value if node.style else _scalar(node.value)
    if kind == "sequence":
        listed = CommentedSeq()
        _mark(listed, node)
        for number, item in enumerate(node.value):
            listed.append(_built(item))
            listed._yaml_set_idx_line_col(number, [item.start_mark.line, item.start_mark.column])
        return listed
    mapping = CommentedMap()
    _mark(mapping, node)
    for key_node, value_node in node.value:
        key = _built(key_node)
        if isinstance(key, CommentedMap | CommentedSeq) or key in mapping:
            raise _Unclear
        at, value_at = key_node.start_mark, value_node.start_mark
        mapping[key] = _built(value_node)
        mapping._yaml_set_kv_line_col(key, [at.line, at.column, value_at.line, value_at.column])
    return mapping


def _mark(tree: Any, node: Any) -> None:
    tree._yaml_set_line_col(node.start_mark.line, node.start_mark.column)


def _scalar(text: str) -> Any:
    """A scalar without quotes as YAML 1.2 reads it."""
    if text in _NAMED:
        return _NAMED[text]
    if _WORD.match(text):
        return text
    if _DIGITS.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return _by_ruamel(text)


@lru_cache(maxsize=4096)
def _by_ruamel(text: str) -> Any:
    """Dates, exponents, other bases: whatever else a plain scalar may say."""
    if "\n" in text or re.search(r": |:$| #", text):
        raise _Unclear
    try:
        return YAML(typ="rt").load(text)
    except ValueError:  # a date such as 2026-13-01 stays text: who wants a date says where it stands
        return text
