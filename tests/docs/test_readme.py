"""The documents cannot drift: each path, command and make target that they name is there."""

import re
import shlex
from pathlib import Path

import click
import pytest
from dagster._cli import create_dagster_cli

from dunning_pipeline.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
MADE_AT_RUN_TIME = (".dunning", "inbox", ".venv", ".ci")
PLACEHOLDERS = re.compile(r"NAME|SOURCE|FILE|DIR|<|\*|\{|…")


def code_spans(document: Path) -> list[str]:
    text = document.read_text(encoding="utf-8")
    fenced = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [line for block in fenced for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_each_path_named_in_a_document_exists(document: Path) -> None:
    links = [
        target for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")) if "//" not in target
    ]
    missing = [target for target in links if not (document.parent / target).exists()]
    for span in code_spans(document):
        path = span.split()[0].rstrip("/") if span.split() else ""
        if "/" not in path or PLACEHOLDERS.search(path) or path.startswith(MADE_AT_RUN_TIME) or "//" in path:
            continue
        if (
            re.fullmatch(r"[\w.-]+(/[\w.-]+)+", path)
            and (ROOT / path.split("/")[0]).exists()
            and not (ROOT / path).exists()
        ):
            missing.append(path)
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_each_command_named_in_a_document_exists(document: Path) -> None:
    named = {match for span in code_spans(document) for match in re.findall(r"(?:^|[ /])dunning ([a-z]+)\b", span)}
    assert named <= set(COMMANDS), f"no such commands: {sorted(named - set(COMMANDS))}"


def test_each_dagster_command_named_in_a_document_has_these_options() -> None:
    spans = [span for document in DOCUMENTS for span in code_spans(document) if span.startswith("dagster job execute ")]
    command = create_dagster_cli().commands["job"].commands["execute"]
    for span in spans:
        command.make_parser(click.Context(command)).parse_args(shlex.split(span)[3:])
    assert spans


def test_links_to_headings_lead_somewhere() -> None:
    headings = {
        document: {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.M)
        }
        for document in DOCUMENTS
    }
    for document in DOCUMENTS:
        for target, heading in re.findall(r"\]\(([^)#]*)#([^)]+)\)", document.read_text(encoding="utf-8")):
            if "//" not in target:
                page = (document.parent / target).resolve() if target else document
                assert heading in headings[page], f"{document.name}: #{heading}"


def test_each_make_target_named_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {m for span in code_spans(ROOT / "README.md") for m in re.findall(r"^make ([a-z-]+)", span)}
    assert named <= targets


def test_each_dependency_has_its_reason_in_the_decisions() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[\[<>=~ ]", requirement)[0] for requirement in project["dependencies"]]
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    assert [n for n in names if n not in decisions and not n.startswith("adbc-driver")] == []


def test_no_lock_file_names_an_address() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text(encoding="utf-8"), lock.name
