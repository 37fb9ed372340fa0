"""What Jinja makes of a template: a strict program that knows each mistake, and a quick one that expects none.

The quick program reads fields straight from the document's dicts and formats amounts and dates from caches. Whatever
it stumbles over, it stops with an exception and nothing is printed; the strict one decides then.
"""

from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, optimizeconst

FORMATS = {"money": "currency", "amount": "currency", "date": "'long'", "number": None}  # what each takes unless told
_MAY_LACK = ("default", "d", "defined", "undefined")  # filters and tests of fields that may not be there


class StrictGenerator(CodeGenerator):
    """Writes at most one call per printed value where Jinja's own writes two, and none for a field that is there."""

    def write_commons(self) -> None:
        super().write_commons()
        self.writeline("shown, escape_text = environment.shown, environment.escape_text")

    @optimizeconst
    def visit_Getattr(self, node: nodes.Getattr, frame: Any) -> None:
        """A field of a document's dict straight away; all else by the sandbox's rules (see LetterEnvironment)."""
        self.write(f"(it[{node.attr!r}] if (it := ")
        self.visit(node.node, frame)
        self.write(f").__class__ is dict and {node.attr!r} in it else environment.getattr(it, {node.attr!r}))")

    def _output_child_pre(self, node: nodes.Expr, frame: Any, finalize: Any) -> None:
        escaped = "escape_text(it)" if self.environment.autoescape else "it"
        self.write(f"({escaped} if (it := ")

    def _output_child_post(self, node: nodes.Expr, frame: Any, finalize: Any) -> None:
        self.write(").__class__ is str else shown(it))")


class QuickGenerator(StrictGenerator):
    """The same for a document that has each field, of the type that is expected: by subscription alone, which reaches
    no attribute of anything and fails where the strict program looks closer."""

    _may_lack = 0
    _printed: nodes.Expr | None = None

    def write_commons(self) -> None:
        super().write_commons()
        if not self.blocks:  # these see the names that the template sets, too
            self.writeline("resolve = context.parent.__getitem__")
        self.writeline("currency, locale = context.parent['currency'], context.parent['locale']")
        for name in FORMATS:
            self.writeline(f"{name}_text, {name}_shown = environment.formats[{name!r}]")

    @optimizeconst
    def visit_Getattr(self, node: nodes.Getattr, frame: Any) -> None:
        root = node.node
        if self._may_lack or isinstance(root, nodes.Const) or (isinstance(root, nodes.Name) and root.name == "loop"):
            return super().visit_Getattr(node, frame)
        if isinstance(root, nodes.Name):
            self.write(frame.symbols.ref(root.name))  # what is missing has no fields
        else:
            self.visit(root, frame)
        self.write(f"[{node.attr!r}]")

    def visit_Filter(self, node: nodes.Filter, frame: Any) -> None:
        if node.node is None or not _is_plain_format(node):
            return self._visit_careful(super().visit_Filter, node, frame)
        self.write(f"{node.name}_{'shown' if node is self._printed else 'text'}(")
        self.visit(node.node, frame)
        if node.args:
            self.write(", ")
            self.visit(node.args[0], frame)
        elif default := FORMATS[node.name]:
            self.write(f", {default}")
        self.write(", locale)")

    def visit_Test(self, node: nodes.Test, frame: Any) -> None:
        self._visit_careful(super().visit_Test, node, frame)

    def _visit_careful(self, visit: Any, node: nodes.Filter | nodes.Test, frame: Any) -> None:
        self._may_lack += node.name in _MAY_LACK
        visit(node, frame)
        self._may_lack -= node.name in _MAY_LACK

    def _output_child_pre(self, node: nodes.Expr, frame: Any, finalize: Any) -> None:
        if _is_plain_format(node):
            self._printed = node
        else:
            super()._output_child_pre(node, frame, finalize)

    def _output_child_post(self, node: nodes.Expr, frame: Any, finalize: Any) -> None:
        if not _is_plain_format(node):
            super()._output_child_post(node, frame, finalize)


def _is_plain_format(node: nodes.Expr) -> bool:
    return (
        isinstance(node, nodes.Filter) and node.name in FORMATS
        and not (node.kwargs or node.dyn_args or node.dyn_kwargs) and len(node.args) <= bool(FORMATS[node.name])
    )  # fmt: skip
