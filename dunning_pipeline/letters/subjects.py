"""What a template speaks of, read from its text: campaigns and processes refuse or leave out what it does not fit."""

import re
from typing import TYPE_CHECKING

from dunning_pipeline.letters.markup.including import assemble

if TYPE_CHECKING:
    from dunning_pipeline.letters.catalogue import TemplateSource


def is_of_digests(source: "TemplateSource") -> bool:
    """Whether it lists the accounts of a digest; raises InvalidDeclaration where its files cannot be read."""
    return _mentions(source, "accounts", "digest")


def shows_what_is_open(source: "TemplateSource") -> bool:
    """Whether it shows open items or their sum, as each letter does; raises InvalidDeclaration as above."""
    return source.channel == "letter" or _mentions(source, "items", "totals")


def asks_for_payment(source: "TemplateSource") -> bool:
    """Whether it makes sense only while something is open: it shows that and is no thanks for a payment.

    Raises InvalidDeclaration as above.
    """
    return shows_what_is_open(source) and not _mentions(source, "received")


def _mentions(source: "TemplateSource", *fields: str) -> bool:
    """Whether one of these stands inside a Jinja expression or statement."""
    named = "|".join(fields)
    text = assemble(source.file, root=source.root).text
    return re.search(rf"\{{[{{%][^{{}}]*(?<![\w.])(?:{named})\b", text) is not None
