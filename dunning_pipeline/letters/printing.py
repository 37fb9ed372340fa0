"""A rendered text that remembers its pieces: what every message of a template has alike is worked out only once."""

from collections.abc import Callable, Sequence
from types import CodeType

from jinja2 import Template


class Plate:
    """What is the same in every print of one template part: the constant pieces of its program.

    `pieces` holds every constant text of the program; a value that happens to equal one of them says nothing that the
    template does not say itself.
    """

    __slots__ = ("__weakref__", "_encoded", "pieces")

    def __init__(self, template: Template) -> None:
        codes = [template.root_render_func.__code__, *(block.__code__ for block in template.blocks.values())]
        self.pieces = frozenset(text for code in codes for text in _texts(code))
        self._encoded: dict[Callable[[str], bytes], dict[str, bytes]] = {}

    def encoded(self, pieces: Sequence[str], encode: Callable[[str], bytes]) -> bytes:
        """All pieces as `encode` writes each of them, which must not depend on its neighbours."""
        known = self._encoded.setdefault(encode, {})
        return b"".join([known.get(piece) or self._learned(piece, encode, known) for piece in pieces])

    def _learned(self, piece: str, encode: Callable[[str], bytes], known: dict[str, bytes]) -> bytes:
        made = encode(piece)
        if piece in self.pieces:
            known[piece] = made
        return made


class Print(str):
    """A text printed with a plate: `pieces` in their order are the whole, apart from blanks where it was tidied."""

    __slots__ = ("is_tidied", "pieces", "plate")
    pieces: Sequence[str]
    plate: Plate
    is_tidied: bool

    def __new__(cls, text: str, pieces: Sequence[str], plate: Plate, *, is_tidied: bool = False) -> "Print":
        made = super().__new__(cls, text)
        made.pieces, made.plate, made.is_tidied = pieces, plate, is_tidied
        return made


def encoded(text: str, encode: Callable[[str], bytes]) -> bytes:
    """`encode(text)`, which must write each piece whatever its neighbours; of a Print, constant pieces only once."""
    if isinstance(text, Print) and not text.is_tidied:
        return text.plate.encoded(text.pieces, encode)
    return encode(text)


def _texts(code: CodeType) -> set[str]:
    """The constants of a program and of what is defined inside it (macros)."""
    found = {constant for constant in code.co_consts if isinstance(constant, str)}
    return found.union(*(_texts(constant) for constant in code.co_consts if isinstance(constant, CodeType)))
