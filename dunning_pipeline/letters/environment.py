"""The Jinja environment of all templates: sandboxed, strict, escaping, with locale filters and hard limits.

A template that loops without end, prints without end or reads what is not there stops with an error, never a message.
"""

from collections.abc import Callable, Iterable, Mapping, Sized
from functools import lru_cache
from itertools import islice
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes, pass_context
from jinja2.filters import FILTERS
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError
from markupsafe import Markup, _escape_inner, escape

from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.letters import formats
from dunning_pipeline.letters.programs import FORMATS, QuickGenerator, StrictGenerator

MAX_STEPS = 200_000  # loop rounds and calls of one rendering
MAX_OUTPUT_CHARACTERS = 1_000_000
BUDGET = "_budget"  # context key of a list with the steps that are left

_FILTERS = """abs batch capitalize count d default e escape first groupby int join last length list lower map max min
reject rejectattr replace reverse round select selectattr slice sort string sum title trim truncate unique upper
wordcount"""


_FORMS = ("zero", "one", "two", "few", "many", "other")


class EmptyField(Exception):
    """A field that exists and has no value was printed without |default."""


class LetterEnvironment(ImmutableSandboxedEnvironment):
    """Sandbox with counted loops and calls, bounded text arithmetic, a fixed list of filters and no loader."""

    code_generator_class = StrictGenerator
    escape_text = staticmethod(_escape_inner)  # what HTML prints of a text, without an object around it
    shown: Callable[[Any], str]  # what is printed of any other value
    intercepted_binops = frozenset(["*", "**", "+", "%"])

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "counted", [], [], None, None, lineno=loop.lineno)
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        """No method of a document's dict is reachable: what is no field of it is undefined."""
        if obj.__class__ is dict:
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        spend(__context, 1)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator in ("*", "%", "**") and (isinstance(left, str | list) or isinstance(right, str | list)):
            raise SecurityError(f"texts and lists cannot be used with {operator}")
        if operator == "**":
            raise SecurityError("** is not available in templates")
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, str) and len(result) > MAX_OUTPUT_CHARACTERS:
            raise SecurityError("a text grew too long")
        return result


class QuickEnvironment(LetterEnvironment):
    """The same rules for a program that stops where a document is not as expected."""

    code_generator_class = QuickGenerator
    formats: Mapping[str, tuple[Callable[..., str], Callable[..., str]]]  # by name: as a value, and as it is printed


def letter_environment(*, autoescape: bool, quick: bool = False) -> LetterEnvironment:
    """An environment for HTML (autoescape) or plain text (subjects, text parts, SMS, letters)."""
    environment = (QuickEnvironment if quick else LetterEnvironment)(
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=not autoescape,
        lstrip_blocks=not autoescape,
        keep_trailing_newline=False,
        cache_size=0,
    )
    environment.shown = _shown_in_html if autoescape else _shown_in_text
    environment.filters = {name: FILTERS[name] for name in _FILTERS.split()}
    environment.filters |= {
        "default": default,
        "d": default,
        "money": money,
        "amount": amount,
        "date": date,
        "number": number,
        "iban": iban,
        "plural": plural,
        "paragraphs": paragraphs,
        "counted": counted,
    }
    environment.globals = {"range": counted_range}
    if isinstance(environment, QuickEnvironment):
        environment.formats = {name: _from_texts(name, autoescape=autoescape) for name in FORMATS}
    return environment


def check_filters(tree: nodes.Template, environment: LetterEnvironment) -> None:
    """Refuses unknown filters and tests, which inside {% if %} Jinja tells only when a document leads there, and styles
    of dates and currencies that there are not. Raises TemplateSyntaxError.
    """
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        known = environment.filters if isinstance(node, nodes.Filter) else environment.tests
        if node.name not in known:
            raise TemplateSyntaxError(f"No {type(node).__name__.lower()} named {node.name!r}.", node.lineno)
        argument = node.args[0].value if node.args and isinstance(node.args[0], nodes.Const) else None
        try:
            if argument is not None and node.name == "date":
                formats.date_text("2025-01-01", argument, "en_GB")
            elif argument is not None and node.name in ("money", "amount"):
                formats.money_text("1", argument, "en_GB")
        except InvalidInput as error:
            raise TemplateSyntaxError(
                f"|{node.name}({argument!r}): {error.message}; {error.remedy}", node.lineno
            ) from None


def spend(context: Context, steps: int) -> None:
    """Takes steps from the rendering's budget; raises SecurityError when none are left."""
    budget = context.parent.get(BUDGET)
    if budget is None:
        return
    budget[0] -= steps
    if budget[0] < 0:
        raise SecurityError(f"the template takes more than {MAX_STEPS} steps; is there a loop without end?")


@pass_context
def counted_range(context: Context, *bounds: int) -> range:
    """range(), its numbers counted at once: a list of a billion is refused before it is made."""
    numbers = range(*bounds)
    spend(context, len(numbers))
    return numbers


@pass_context
def counted(context: Context, values: Iterable[Any]) -> Iterable[Any]:
    """Every loop's values, counted before the loop begins."""
    if isinstance(values, Undefined):
        return values  # iterating it raises the usual error, with the field's name
    if values.__class__ is list or isinstance(values, Sized):
        spend(context, len(values))
        return values
    budget = context.parent.get(BUDGET) or [MAX_STEPS]
    listed = list(islice(iter(values), budget[0] + 1))
    spend(context, len(listed))
    return listed


def default(value: Any, fallback: Any = "", empty_too: bool = False) -> Any:
    """The explicit fallback: for a missing field, an empty one (None), and "" as well when asked."""
    if isinstance(value, Undefined) or value is None or (empty_too and not value):
        return fallback
    return value


@pass_context
def money(context: Context, value: Any, currency: str | None = None) -> str:
    """{{ totals.please_pay|money }}: in the statement's currency unless another is given."""
    text = _text(value, "money")
    return formats.money_text(text, currency or context.parent["currency"], context.parent["locale"])


@pass_context
def amount(context: Context, value: Any, currency: str | None = None) -> str:
    """Like |money without the currency's sign."""
    return formats.plain_money_text(
        _text(value, "amount"), currency or context.parent["currency"], context.parent["locale"]
    )


@pass_context
def date(context: Context, value: Any, style: str = "long") -> str:
    """{{ statement.deadline|date }} or |date("short")."""
    return formats.date_text(_text(value, "date"), style, context.parent["locale"])


@pass_context
def number(context: Context, value: Any) -> str:
    return formats.number_text(_text(value, "number"), context.parent["locale"])


@pass_context
def plural(context: Context, value: Any, **forms: str) -> str:
    """{{ totals.item_count|plural(one="invoice", other="invoices") }}: the noun that fits the number, without it.

    The forms are CLDR's of the reader's language: zero, one, two, few, many, other; `other` stands in for any.
    """
    if value is None or isinstance(value, Undefined):
        raise EmptyField("|plural got a field without a value")
    unknown = forms.keys() - _FORMS
    form = formats.plural_form(int(value), context.parent["locale"])
    if unknown or not forms.keys() & {form, "other"}:
        raise InvalidInput(
            f"|plural lacks the form {form!r}" if not unknown else f"|plural knows no form {min(unknown)!r}",
            value=value,
            remedy=f'write |plural(one="invoice", other="invoices"); forms are {", ".join(_FORMS)}',
        )
    return forms[form] if form in forms else forms["other"]


def iban(value: Any) -> str:
    """An IBAN in groups of four, as it is read aloud."""
    return formats.iban_text(_text(value, "iban"))


def paragraphs(value: Any) -> Markup:
    """Hand-written text in an e-mail: escaped, blank lines become paragraphs, line breaks stay."""
    blocks = [block.strip() for block in str(value).replace("\r\n", "\n").split("\n\n")]
    return Markup("").join(
        Markup('<p style="margin:0 0 14px 0">{}</p>').format(
            Markup("<br>").join(escape(line) for line in b.split("\n"))
        )
        for b in blocks
        if b
    )


def _text(value: Any, filter_name: str) -> str:
    if value.__class__ is str:
        return value
    if value is None:
        raise EmptyField(f"|{filter_name} got a field without a value")
    return str(value)  # an undefined field raises UndefinedError here, with its name


def _from_texts(name: str, *, autoescape: bool) -> tuple[Callable[..., str], Callable[..., str]]:
    """A format for texts alone, and what it prints; raises TypeError for all else, which the filter knows better."""
    format_text: Callable[..., str] = getattr(formats, f"{'plain_money' if name == 'amount' else name}_text")

    def checked(value: Any, *rest: str) -> str:
        if value.__class__ is not str:
            raise TypeError
        return format_text(value, *rest)

    @lru_cache(maxsize=formats.CACHE)
    def escaped(value: Any, *rest: str) -> str:
        return _escape_inner(checked(value, *rest))

    return checked, escaped if autoescape else checked


def _shown_in_html(value: Any) -> str:
    """A printed value, escaped; Markup (the paragraphs filter, macros) as it is."""
    if value is None:
        raise EmptyField("a field without a value is printed")
    return escape(value)


def _shown_in_text(value: Any) -> str:
    if value is None:
        raise EmptyField("a field without a value is printed")
    return str(value)
