"""The fixed words that all templates of a language share, labels/<language>.yaml, and which of them are missing."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from ruamel.yaml.comments import CommentedMap

from dunning_pipeline.errors import InvalidDeclaration, NotThere
from dunning_pipeline.letters.catalogue import fallbacks
from dunning_pipeline.letters.markup.including import Assembled, Mistake, Place
from dunning_pipeline.letters.markup.masking import LABEL_FIELD, Construct
from dunning_pipeline.letters.paper.letter_data import LETTER_LABELS
from dunning_pipeline.settings.yaml_files import plain, position, read_yaml

_LAYOUT_LABEL = re.compile(r"(?<![\w.])label\.(\w+)")


class Labels(dict[str, str]):
    """The fixed words of one language; `file` is where the author writes them."""

    file: Path

    @property
    def language(self) -> str:
        return self.file.stem


def read_labels(root: Path, language: str) -> Labels:
    """The fixed words of a language (labels/<language>.yaml, else of its base language); a key without a word is none.

    Raises NotThere for a language without labels, InvalidDeclaration for a value that is no text.
    """
    for candidate in fallbacks(language, language):
        file = root / "labels" / f"{candidate}.yaml"
        if file.is_file() and candidate.split("-")[0] == language.replace("_", "-").split("-")[0].lower():
            tree = read_yaml(file)
            labels = Labels({key: _word(file, tree, key) for key in tree if tree[key] is not None})
            labels.file = file
            return labels
    file = root / "labels" / f"{language}.yaml"
    raise NotThere(
        f"the language {language!r} has no labels: {file} is missing",
        remedy=f"copy labels/en.yaml to labels/{file.name} and translate its words",
    )


def _word(file: Path, tree: CommentedMap, key: str) -> str:
    if isinstance(tree[key], dict | list):
        line, column = position(tree, (key,))
        raise InvalidDeclaration(f"the label {key!r} must be a text", file=file, line=line, column=column,
                                 remedy="put it into quotes")  # fmt: skip
    return str(plain(tree[key]))


def unknown_labels(source: Assembled, constructs: list[Construct], labels: Labels, root: Path) -> list[Mistake]:
    """Labels of a template that its language lacks: the untranslated ones as one mistake, each other at its place."""
    used = [(match[1], construct.start) for construct in constructs
            if (match := LABEL_FIELD.fullmatch(construct.text))]  # fmt: skip
    return _lacking(source, used, labels, root)


def layout_mistakes(layout: Assembled, labels: Labels, root: Path) -> list[Mistake]:
    """The same for the letters' layout and for what its data are made of."""
    used = [(match[1], match.start()) for match in _LAYOUT_LABEL.finditer(layout.text)]
    return _lacking(layout, [*used, *((name, 0) for name in LETTER_LABELS)], labels, root)


def _lacking(source: Assembled, used: list[tuple[str, int]], labels: Labels, root: Path) -> list[Mistake]:
    unknown = [(name, at) for name, at in used if name not in labels]
    if not unknown:
        return []
    ours = {*read_labels(root, "en"), *LETTER_LABELS}
    mistakes = [_no_label(name, labels, source.place(at)) for name, at in unknown if name not in ours]
    missing = sorted({name for name, _ in unknown if name in ours})
    if missing:
        message, remedy = (
            f"words are missing: {', '.join(missing)}",
            "write them there, as in labels/en.yaml of `dunning init DIR`",
        )
        mistakes.append(Mistake(Place(labels.file, 1, 1), message, remedy))
    return mistakes


def _no_label(name: str, labels: Mapping[str, str], place: Place) -> Mistake:
    near = get_close_matches(name, labels, 1)
    remedy = f"did you mean {near[0]!r}?" if near else "add it to each file in labels/"
    return Mistake(place, f"there is no label {name!r}", remedy)
