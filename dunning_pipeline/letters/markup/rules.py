"""What may stand in what in MJML 4, and which attributes each element takes."""

from functools import cache

_IN_COLUMNS = """mj-accordion mj-button mj-carousel mj-divider mj-image mj-raw mj-social mj-spacer mj-table mj-text
mj-navbar"""
_IN_HEAD = "mj-attributes mj-breakpoint mj-html-attributes mj-font mj-preview mj-style mj-title mj-raw"
_TEXTUAL = """mj-text mj-button mj-table mj-raw mj-style mj-title mj-preview mj-accordion-title mj-accordion-text
mj-navbar-link mj-social-element mj-html-attribute"""
_CONTENT = frozenset(_IN_COLUMNS.split())
CHILDREN: dict[str, frozenset[str]] = {
    "": frozenset({"mjml"}),
    "mjml": frozenset({"mj-head", "mj-body", "mj-raw"}),
    "mj-head": frozenset(_IN_HEAD.split()),
    "mj-body": frozenset({"mj-raw", "mj-section", "mj-wrapper", "mj-hero"}),
    "mj-wrapper": frozenset({"mj-raw", "mj-section", "mj-hero"}),
    "mj-section": frozenset({"mj-column", "mj-group", "mj-raw"}),
    "mj-group": frozenset({"mj-column", "mj-raw"}),
    "mj-column": _CONTENT,
    "mj-hero": _CONTENT,
    "mj-accordion": frozenset({"mj-accordion-element", "mj-raw"}),
    "mj-accordion-element": frozenset({"mj-accordion-title", "mj-accordion-text", "mj-raw"}),
    "mj-carousel": frozenset({"mj-carousel-image"}),
    "mj-navbar": frozenset({"mj-navbar-link", "mj-raw"}),
    "mj-social": frozenset({"mj-social-element", "mj-raw"}),
    "mj-html-attributes": frozenset({"mj-selector"}),
    "mj-selector": frozenset({"mj-html-attribute"}),
}
# elements whose content is HTML or text, which is passed on as it is
ENDING = frozenset(_TEXTUAL.split())
_HEAD_ATTRIBUTES = {
    "mjml": {"lang": "string", "dir": "string", "owa": "string"},
    "mj-head": {},
    "mj-attributes": {},
    "mj-style": {"inline": "string"},
    "mj-title": {},
    "mj-preview": {},
    "mj-font": {"name": "string", "href": "string"},
    "mj-breakpoint": {"width": "unit(px)"},
    "mj-html-attributes": {},
    "mj-selector": {"path": "string"},
    "mj-html-attribute": {"name": "string"},
    "mj-raw": {},
}
# fonts that the compiler links by itself; declaring them again makes mjml 0.12 fail
BUILT_IN_FONTS = frozenset({"Open Sans", "Droid Sans", "Lato", "Roboto", "Ubuntu"})


@cache
def attributes(element: str) -> dict[str, str] | None:
    """Attribute → type of an element (`unit(px,%)`, `color`, `enum(…)`, …); None for an unknown element."""
    if element in _HEAD_ATTRIBUTES:
        return _HEAD_ATTRIBUTES[element]
    from mjml.core.registry import components, register_core_components

    register_core_components()
    component = components.get(element)
    if component is None:
        return None
    # mj-table takes role since MJML 4.11; the Python port hands it on without listing it
    extra = {"role": "string"} if element == "mj-table" else {}
    return {**component.allowed_attrs(), **extra, "css-class": "string", "mj-class": "string"}


@cache
def elements() -> frozenset[str]:
    """Every element name, for the nearest match of a misspelt one."""
    from mjml.core.registry import components, register_core_components

    register_core_components()
    return frozenset(components) | frozenset(_HEAD_ATTRIBUTES)
