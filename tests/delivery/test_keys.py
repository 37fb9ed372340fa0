"""Names of sends: the same facts the same key, any other fact another one, always a good file name."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunning_pipeline.delivery.keys import send_key
from dunning_pipeline.delivery.queue import recipients_of
from dunning_pipeline.errors import InvalidInput

_TEXT = st.text(min_size=1, max_size=80)


def test_order_and_case_of_recipients_are_no_facts() -> None:
    one = send_key(channel="email", kind="dunning", statement_id="s1", recipients={"to": ["A@x.de", "b@x.de"]})
    two = send_key(
        channel="email", kind="dunning", statement_id="s1", recipients={"to": ["b@x.de", "a@x.de"], "cc": []}
    )
    assert one == two


def test_each_fact_counts() -> None:
    base = {"channel": "email", "kind": "dunning", "statement_id": "s1", "recipients": {"to": ["a@x.de"]}}
    others = [
        {"channel": "sms"}, {"kind": "resend:1"}, {"statement_id": "s2"}, {"recipients": {"to": ["b@x.de"]}},
        {"recipients": {"to": ["a@x.de"], "cc": ["b@x.de"]}}, {"draft_version": 2},
    ]  # fmt: skip
    keys = {send_key(**base)} | {send_key(**{**base, **other}) for other in others}
    assert len(keys) == len(others) + 1


@given(kind=_TEXT, statement=_TEXT, channel=st.sampled_from(["email", "sms", "letter"]))
def test_a_key_is_a_file_name_everywhere(kind: str, statement: str, channel: str) -> None:
    key = send_key(channel=channel, kind=kind, statement_id=statement, recipients={})
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,119}", key)


def test_typed_recipients_replace_the_statements_and_an_emptied_copy_is_left_out() -> None:
    statement = {"recipients": {"to": ["a@example.com"], "cc": ["boss@example.com"], "bcc": []}, "address": None}
    typed = {"to": ["me@example.com"]}
    assert recipients_of(statement, "email", typed, country="DE") == {
        "to": ["me@example.com"],
        "cc": ["boss@example.com"],
        "bcc": [],
    }
    assert recipients_of(statement, "email", {**typed, "cc": []}, country="DE")["cc"] == []
    assert recipients_of(statement, "email", {"to": []}, country="DE")["to"] == ["a@example.com"]


@pytest.mark.parametrize("address", ["not an address", "a@b.de\nBcc: evil@x.y", "a@b.de, c@d.de"])
@pytest.mark.parametrize("part", ["to", "cc", "bcc"])
def test_a_typed_address_that_is_none_is_refused_before_anything_is_queued(address: str, part: str) -> None:
    with pytest.raises(InvalidInput):
        recipients_of({"recipients": {"to": ["a@example.com"]}}, "email", {part: [address]}, country="DE")
