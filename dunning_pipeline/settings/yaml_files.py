"""Reads the analysts' YAML files into checked models, and turns every mistake into file, line and column."""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.yaml_trees import NOT_PLAIN, quick_tree

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(file: Path) -> CommentedMap:
    """The mapping in `file`, with line marks kept (ruamel's types). YAML 1.2: `no` and `on` are strings.

    Raises InvalidDeclaration for a missing or unreadable file, a syntax error, a duplicate key or a non-mapping.
    """
    try:
        loaded = _parsed(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidDeclaration("file not found", file=file, remedy="create it, or run `dunning init`") from None
    except OSError as error:
        raise InvalidDeclaration(f"the file cannot be read: {error.strerror}", file=file) from None
    except UnicodeDecodeError as error:
        raise InvalidDeclaration(f"not UTF-8 text: {error.reason}", file=file, remedy="save it as UTF-8") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InvalidDeclaration(
            error.problem or "not valid YAML",
            file=file,
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
            remedy="correct the YAML at this place",
        ) from None
    except ValueError as error:
        raise InvalidDeclaration(
            f"not a value that there is: {error}", file=file, remedy="look for a date such as 2026-13-01"
        ) from None
    if loaded is None:
        loaded = CommentedMap()
    if not isinstance(loaded, CommentedMap):
        raise InvalidDeclaration("must be a mapping of keys to values", file=file, line=1)
    return loaded


@lru_cache(maxsize=128)
def _parsed(text: str) -> Any:
    """The tree of a text, with line marks; kept, because many runs read the same files. Read-only."""
    tree = quick_tree(text)
    return YAML(typ="rt").load(text) if tree is NOT_PLAIN else tree


def position(node: Any, path: tuple[Any, ...]) -> tuple[int, int]:
    """Line and column (from 1) of the key or item that `path` leads to; of its nearest parent where it is missing."""
    line, column = 1, 1
    for step in path:
        if isinstance(node, CommentedMap):
            # pydantic names union members and aliases in its paths: steps that are no key are skipped
            key = step if step in node else next((k for k in node if str(k) == str(step)), None)
            if key is None:
                continue
            line, column = (n + 1 for n in node.lc.key(key))
            node = node[key]
        elif isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
            line, column = (n + 1 for n in node.lc.item(step))
            node = node[step]
    return line, column


def validated(model: type[Model], tree: Any, file: Path, *, within: tuple[Any, ...] = ()) -> Model:
    """`tree` (or the part of it at `within`) as a `model`; the first mistake is raised with its place, all are named.

    Raises InvalidDeclaration.
    """
    part = tree
    for step in within:
        part = part[step]
    try:
        return model.model_validate(plain(part))
    except ValidationError as error:
        mistakes = list(_mistakes(error, tree, within, model))
        line, column, text, value = mistakes[0]
        more = "".join(f"\n  {file}:{ln}:{col}: {message}" for ln, col, message, _ in mistakes[1:])
        raise InvalidDeclaration(text + more, file=file, line=line, column=column, value=value) from None


_WRITE = {  # what pydantic calls it → what an analyst writes
    "decimal_parsing": "write a number with a point, such as 5.00",
    "decimal_type": "write a number with a point, such as 5.00",
    "int_parsing": "write a whole number",
    "int_type": "write a whole number",
    "dict_type": "write keys and values, such as {key: value}",
    "model_type": "write keys and values, such as {key: value}",
}


def _mistakes(
    error: ValidationError, tree: Any, within: tuple[Any, ...], model: type[BaseModel]
) -> Iterator[tuple[int, int, str, Any]]:
    for mistake in error.errors():
        path = (*within, *mistake["loc"])
        line, column = position(tree, path)
        name = ".".join(str(step) for step in mistake["loc"])
        if mistake["type"] == "extra_forbidden":
            near = get_close_matches(str(mistake["loc"][-1]), _keys(model), 1)
            yield line, column, f"unknown key {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""), None
        elif mistake["type"] == "missing":
            yield line, column, f"key {name!r} is missing", None
        elif mistake["type"] in ("tuple_type", "list_type"):
            yield line, column, f"{name}: write a list, such as [{mistake['input']}]", None
        else:
            value = mistake.get("input")
            said = _WRITE.get(mistake["type"]) or mistake["msg"].removeprefix("Value error, ")
            message = ": ".join(filter(None, (name, said)))
            yield line, column, message, value if isinstance(value, str | int | float) else None


@lru_cache(maxsize=64)
def _keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys that some level of this declaration has."""
    inner = [step for field in model.model_fields.values() for step in _models(field.annotation)]
    own = tuple(field.alias or name for name, field in model.model_fields.items())
    return tuple(dict.fromkeys((*own, *(key for step in inner if step is not model for key in _keys(step)))))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def plain(node: Any) -> Any:
    """Round-trip YAML nodes as plain dicts, lists and scalars; scalar floats as the text that was written.

    A money amount in YAML (`5.00`) must never pass through a binary float: it arrives as the string '5.00'.
    """
    if isinstance(node, dict):
        return {str(key) if not isinstance(key, int) else key: plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(item) for item in node]
    if isinstance(node, float):
        from decimal import Decimal

        return str(Decimal(repr(float(node))))
    return node
