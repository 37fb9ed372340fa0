"""Rules that a process must keep beyond its form: reachable levels, anchors, lawful fees, conditions that parse."""

from dunning_pipeline.dunning.conditions import check_condition
from dunning_pipeline.dunning.processes import NEVER, DeclaredProcess, Level
from dunning_pipeline.errors import InvalidDeclaration


def check_rules(declared: DeclaredProcess) -> None:
    """Raise InvalidDeclaration, with the place in the file, for the first rule that is broken."""
    process = declared.process
    if process.process.lower() == NEVER:
        raise declared.mistake(("process",), f"{NEVER!r} is reserved and means never", remedy="choose another name")
    _level_numbers(declared)
    _anchors(declared)
    _reachable(declared)
    _lawful(declared)
    for index, level in enumerate(process.levels):
        _condition(declared, index, level)


def _level_numbers(declared: DeclaredProcess) -> None:
    seen: dict[int, int] = {}
    for index, level in enumerate(declared.process.levels):
        if level.level in seen:
            raise declared.mistake(
                ("levels", index, "level"),
                f"level {level.level} is declared twice",
                remedy="number the levels 1, 2, 3 …",
            )
        if seen and level.level < max(seen):
            raise declared.mistake(
                ("levels", index, "level"), f"level {level.level} comes after level {max(seen)}", remedy="sort them"
            )
        seen[level.level] = index


def _anchors(declared: DeclaredProcess) -> None:
    first = next((i for i, level in enumerate(declared.process.levels) if not level.is_notice), None)
    for index, level in enumerate(declared.process.levels):
        after = level.when.after
        if after in ("last_statement", "last_deadline") and (index == first or index == 0):
            raise declared.mistake(
                ("levels", index, "when", "after"),
                f"the first level cannot be counted after {after}: there is none yet",
                remedy="write `after: due_date`",
            )
        if after in ("last_statement", "last_deadline") and level.when.days < 0:
            raise declared.mistake(
                ("levels", index, "when", "days"), f"days before {after} make no sense", remedy="write 0 or more"
            )


def _reachable(declared: DeclaredProcess) -> None:
    """A level on the due date's own calendar must lie after those before it, or it never has a day of its own."""
    latest: dict[str, Level] = {}
    last_reminder: Level | None = None
    for index, level in enumerate(declared.process.levels):
        after = level.when.after
        if level.is_notice and last_reminder is not None:
            raise declared.mistake(
                ("levels", index, "when", "days"),
                f"level {level.level} can never be reached: it lies before the due date, level {last_reminder.level} "
                "after it",
                remedy="put notices before the reminders",
            )
        if after in ("due_date", "plan_due_date"):
            earlier = latest.get(after)
            if earlier is not None and level.when.days <= earlier.when.days:
                raise declared.mistake(
                    ("levels", index, "when", "days"),
                    f"level {level.level} can never be reached on its own day: {level.when.days} days is not after "
                    f"level {earlier.level} at {earlier.when.days} days",
                    remedy="let the days rise from level to level",
                )
            latest[after] = level
        if not level.is_notice:
            last_reminder = level


def _lawful(declared: DeclaredProcess) -> None:
    """DE, § 286 and § 288 BGB: a consumer's first reminder, which only creates default, carries no fee."""
    process = declared.process
    first = next((i for i, level in enumerate(process.levels) if not level.is_notice), None)
    laws = {level.interest.law for level in process.levels if level.interest and level.interest.law}
    parties = {level.interest.party for level in process.levels if level.interest} | {process.party}
    for index, level in enumerate(process.levels):
        if level.fee is None or "DE" not in laws or "consumer" not in parties:
            continue
        if index == first or level.is_notice:
            raise declared.mistake(
                ("levels", index, "fee"),
                f"level {level.level}: in Germany the first reminder to a consumer carries no fee (§ 286, § 288 BGB)",
                remedy="remove the fee here; it may be charged from the next level on",
            )
    for index, level in enumerate(process.levels):
        if level.compensation is not None and "consumer" in parties:
            raise declared.mistake(
                ("levels", index, "compensation"),
                f"level {level.level}: the statutory lump sum is owed by businesses only (2011/7/EU art. 6)",
                remedy="remove compensation from a consumer process",
            )


def _condition(declared: DeclaredProcess, index: int, level: Level) -> None:
    try:
        check_condition(level.condition)
    except InvalidDeclaration as error:
        raise declared.mistake(
            ("levels", index, "condition"), error.message, remedy=error.remedy or "", value=level.condition
        ) from None
