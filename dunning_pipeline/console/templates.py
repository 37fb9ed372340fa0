"""The templates of the console's pages: one environment per language, its fixed words put in as they are compiled."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, nodes, select_autoescape
from jinja2.visitor import NodeTransformer

from dunning_pipeline.console.wording import Wording

METHODS = frozenset(dir(dict))


@cache
def page_templates(language: str) -> Environment:
    """The templates of the pages in a language; every value is escaped, an unknown one is an error."""
    return _PageEnvironment(
        Wording(language),
        loader=PackageLoader("dunning_pipeline.console", "html"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        auto_reload=False,  # a page in use must not change under an upgrade
        trim_blocks=True,
        lstrip_blocks=True,
    )


class _PageEnvironment(Environment):
    def __init__(self, wording: Wording, **options: Any) -> None:
        super().__init__(**options)
        self.wording = wording

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Rows are dicts: `row.name` is looked for among the keys first, where most lookups end."""
        if type(obj) is dict and attribute in obj and attribute not in METHODS:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        template = super()._parse(source, name, filename)
        _FixedWords(self.wording).visit(template)
        template.set_environment(self)
        return template


class _FixedWords(NodeTransformer):
    """`t("Account")` becomes the word itself: a list calls it hundreds of times a page."""

    def __init__(self, wording: Wording) -> None:
        self.wording = wording

    def visit_Call(self, call: nodes.Call) -> nodes.Expr:
        self.generic_visit(call)
        match call:
            case nodes.Call(node=nodes.Name(name="t"), args=[nodes.Const(value=str(english))], kwargs=[]):
                return nodes.Const(self.wording.text(english), lineno=call.lineno)
        return call
