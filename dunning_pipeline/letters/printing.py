"""A rendered text that remembers its pieces: what every message of a template has alike is worked out only once."""

from collections.abc import Sequence
from types import CodeType

from jinja2 import Template


class Plate:
    """What is the same in every print of one template part: the constant pieces of its program.

    `pieces` holds every constant text of the program; a value that happens to equal one of them says nothing that the
    template does not say itself.
    """

    __slots__ = ("__weakref__", "pieces")

    def __init__(self, template: Template) -> None:
        codes = [template.root_render_func.__code__, *(block.__code__ for block in template.blocks.values())]
        self.pieces = frozenset(text for code in codes for text in _texts(code))


class Print(str):
    """A text printed with a plate: `pieces` in their order are the whole, apart from blanks where it was tidied."""

    __slots__ = ("pieces", "plate")
    pieces: Sequence[str]
    plate: Plate

    def __new__(cls, text: str, pieces: Sequence[str], plate: Plate) -> "Print":
        made = super().__new__(cls, text)
        made.pieces, made.plate = pieces, plate
        return made


def _texts(code: CodeType) -> set[str]:
    """The constants of a program and of what is defined inside it (macros)."""
    found = {constant for constant in code.co_consts if isinstance(constant, str)}
    return found.union(*(_texts(constant) for constant in code.co_consts if isinstance(constant, CodeType)))
