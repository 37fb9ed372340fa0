"""Process files: each mistake is told with file, line and column; versions are frozen for running cases."""

from pathlib import Path

import pytest

from dunning_pipeline.dunning.process_checks import check_processes
from dunning_pipeline.dunning.processes import load_processes, read_process
from dunning_pipeline.errors import InvalidDeclaration
from dunning_pipeline.settings.workspace import Workspace
from tests.dunning.world import ROOT, World

TWO = """process: p
levels:
  - {level: 1, when: {days: 7}, template: a}
  - {level: 2, when: {days: 14}, template: b}
"""


def mistake(tmp_path: Path, text: str) -> InvalidDeclaration:
    file = tmp_path / "p.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidDeclaration) as caught:
        read_process(file)
    assert caught.value.file == file
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        (TWO.replace("levels:", "mnimum: {EUR: 5}\nlevels:"), 2, "mnimum", "unknown key 'mnimum'"),
        (TWO.replace("template: b", "template: b, tmplate: b"), 4, "tmplate", "unknown key 'levels.1.tmplate'"),
        (TWO.replace(", template: b", ""), 4, "{level", "key 'levels.1.template' is missing"),
        (TWO.replace("level: 2", "level: 1"), 4, "level", "level 1 is declared twice"),
        (TWO.replace("days: 14", "days: 7"), 4, "days", "level 2 can never be reached on its own day"),
        (TWO.replace("days: 14", "days: -5"), 4, "days", "level 2 can never be reached"),
        (TWO.replace("days: 7", "days: 7, after: last_statement"), 3, "after", "the first level cannot be counted"),
        (TWO.replace("template: b", "template: b, fee: {XQQ: 5}"), 4, "XQQ", "'XQQ' is not an ISO 4217"),
        (TWO.replace("template: b", "template: b, fee: {EUR: -5}"), 4, "EUR", "greater than or equal to 0"),
        (
            TWO.replace("template: b", "template: b, interest: {law: DE, annual_percent: 9}"),
            4,
            "interest",
            "exactly one",
        ),
        (TWO.replace("template: b", 'template: b, condition: "account.nam = 1"'), 4, "condition", "does not exist"),
        (
            TWO.replace("template: b", "template: b, condition: \"read_text('/x') is null\""),
            4,
            "condition",
            "may not use",
        ),
        (TWO.replace("template: b", 'template: b, condition: "1; drop table x"'), 4, "condition", "condition"),
        (TWO.replace("process: p", "process: none"), 1, "process", "'none' is reserved"),
        ("process: p\nlevels: []\n", 2, "levels", "at least 1 item"),
        (TWO.replace("process: p", "process: p\nprocess: q"), 2, "process", "duplicate key"),
    ],
)
def test_every_mistake_has_its_place(tmp_path: Path, text: str, line: int, key: str, message: str) -> None:
    error = mistake(tmp_path, text)

    assert message in str(error)
    assert (error.line, error.column) == (line, text.splitlines()[line - 1].index(key) + 1)


def test_a_consumer_in_germany_pays_no_fee_for_the_first_reminder(tmp_path: Path) -> None:
    error = mistake(
        tmp_path,
        """process: p
party: consumer
levels:
  - level: 1
    when: {days: 7}
    template: a
    fee: {EUR: 2.50}
  - level: 2
    when: {days: 20}
    template: b
    interest: {law: DE}
""",
    )
    assert "§ 286" in error.message
    assert error.line == 7


def test_two_processes_of_one_name_are_refused(world: World) -> None:
    world.process("levels: [{level: 1, when: {days: 1}, template: a}]")
    assert world.folder is not None
    twin = world.folder / "policies" / "processes" / "zz.yaml"
    twin.write_text("process: test\nlevels: [{level: 1, when: {days: 1}, template: a}]\n", encoding="utf-8")

    with pytest.raises(InvalidDeclaration, match="a second process named 'test'"):
        load_processes(Workspace(world.folder))


def test_the_hash_follows_content_and_not_comments_or_order(tmp_path: Path) -> None:
    def version(text: str) -> str:
        file = tmp_path / "p.yaml"
        file.write_text(text, encoding="utf-8")
        return read_process(file).process_hash

    first = version(TWO)
    assert version(f"# a comment\n{TWO}") == first
    assert version(TWO.replace("level: 1, when: {days: 7}", "when: {days: 7}, level: 1")) == first
    assert version(TWO.replace("days: 14", "days: 15")) != first


def test_everything_that_ships_is_right() -> None:
    mistakes = check_processes(Workspace(ROOT))

    assert [str(found.error) for found in mistakes if found.severity == "error"] == []


def test_check_names_missing_templates_laws_segments_and_rates(world: World) -> None:
    world.process(
        """
        levels:
          - {level: 1, when: {days: 1}, template: nowhere, fee: {EUR: 1}, interest: {law: XX}, segment: no_such}
        """
    )
    world.company("default_process: tset")
    found = check_processes(Workspace(world.folder), currencies={"EUR", "USD"})

    said = "\n".join(str(one.error) for one in found)
    for part in ("no template 'nowhere'", "no law pack 'XX'", "no segment 'no_such'", "no entry for USD", "'tset'"):
        assert part in said
    assert all(one.error.line for one in found)


def test_a_reminder_has_no_template_of_digests(world: World) -> None:
    assert world.folder is not None
    (world.folder / "templates").symlink_to(ROOT / "templates")
    world.company("")
    world.process("levels:\n  - {level: 1, when: {days: 1}, template: account_digest, channels: [email]}")
    errors = [found.error for found in check_processes(Workspace(world.folder)) if found.severity == "error"]
    assert [error.message for error in errors] == [
        "level 1: 'account_digest' lists several accounts; a reminder is of one"
    ]


def test_a_fee_that_german_consumers_do_not_owe_is_told(world: World) -> None:
    world.process("party: consumer\nlevels:\n  - {level: 1, when: {days: 1}, template: a, fee: {EUR: 1}}")
    [mistake] = [one for one in check_processes(Workspace(world.folder)) if "§ 286" in one.error.message]
    assert (mistake.severity, mistake.error.line) == ("error", 4)


EDITED = "levels: [{level: 1, when: {days: 1}, template: a}, {level: 2, when: {days: 40}, template: b}]"


def running_case(world: World) -> str:
    """INV is at level 1 of a version that reaches level 2 after 10 days; then the file is edited to 40 days."""
    world.process("levels: [{level: 1, when: {days: 1}, template: a}, {level: 2, when: {days: 10}, template: b}]")
    declared = load_processes(Workspace(world.folder))["test"]
    world.invoice("INV", due="2026-01-01")
    world.add(
        "ops.process_versions", process_hash=declared.process_hash, process="test", content=_json(declared.content)
    )
    world.closed("s1", on="2026-01-02", invoices=["INV"], process_hash=declared.process_hash)
    world.sent("INV", 1, on="2026-01-02", statement="s1")
    return declared.process_hash


def _json(content: object) -> str:
    from dunning_pipeline.ledger.types import canonical_json

    return canonical_json(content)


def test_an_edit_does_not_move_a_running_case(world: World) -> None:
    began_with = running_case(world)
    world.process(EDITED)
    world.invoice("NEW", due="2026-01-01", account="fresh")

    outcome = world.run("2026-01-20")
    assert outcome.levels == {"INV": 2, "NEW": 1}
    assert {row["account_id"]: row["process_hash"] == began_with for row in outcome.rows} == {
        "acme": True,
        "fresh": False,
    }


def test_migrate_by_level_opts_in(world: World) -> None:
    running_case(world)
    world.process(f"migrate: by_level\n{EDITED}")

    assert world.run("2026-01-20").reasons == {"INV": "level_not_reached"}
    assert world.run("2026-02-10").levels == {"INV": 2}


def test_a_process_deleted_while_cases_run_goes_on_for_them_and_holds_the_others(world: World) -> None:
    running_case(world)
    world.invoice("NEW", due="2026-01-01", account="fresh")
    assert world.folder is not None
    (world.folder / "policies" / "processes" / "test.yaml").unlink()

    outcome = world.run("2026-01-20")
    assert outcome.levels == {"INV": 2}
    assert outcome.reasons["NEW"] == "process_unknown"
    assert ("process_unknown", "fresh") in outcome.findings


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("grouping:", "groupping:", "unknown key 'groupping'; did you mean 'grouping'?"),
        ("  due_in_days:", "  due_in_day:", "did you mean 'due_in_days'?"),
        ("fee: {EUR: 5.00}", 'fee: {EUR: "5,00"}', "write a number with a point, such as 5.00 (value: '5,00')"),
        ("fee: {EUR: 5.00}", "fee: 5", "write keys and values, such as {key: value} (value: 5)"),
        ("grace_days: 0", "grace_days: yes", "grace_days: write a whole number (value: 'yes')"),
    ],
)
def test_a_wrong_key_or_value_says_what_to_write_and_nothing_follows_from_it(workspace, old, new, told):
    file = workspace.policies / "processes" / "standard.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    [found] = [one.error for one in check_processes(workspace) if one.severity == "error"]
    assert told in str(found) and found.file == file and found.line
