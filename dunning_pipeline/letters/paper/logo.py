"""The company's logo for letters: SVG as it is, PNG wrapped into one, pinned with the template's version."""

import base64
import struct

from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.letters.catalogue import TemplateSource

MAX_BYTES = 300_000


def read_logo(source: TemplateSource) -> str | None:
    """The logo as SVG text, None where company.yaml names none.

    Raises InvalidDeclaration for a file outside of templates/, a missing or too large one, or another format.
    """
    if not source.logo:
        return None
    file = (source.root / source.logo).resolve()
    if not file.is_relative_to(source.root.resolve()) or not file.is_file():
        raise InvalidDeclaration("there is no such logo", value=source.logo, remedy="put the file below templates/")
    if file.stat().st_size > MAX_BYTES:
        raise InvalidDeclaration(f"the logo is larger than {MAX_BYTES // 1000} KB", file=file, remedy="make it smaller")
    content = file.read_bytes()
    if file.suffix == ".svg":
        return content.decode("utf-8")
    if not content.startswith(b"\x89PNG"):
        raise InvalidDeclaration("a logo is .svg or .png", file=file, remedy="convert it")
    width, height = struct.unpack(">II", content[16:24])
    link = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f'<image href="{link}" width="{width}" height="{height}"/></svg>'
    )
