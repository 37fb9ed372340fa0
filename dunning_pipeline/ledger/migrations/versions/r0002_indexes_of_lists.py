"""Indexes for the lists that people page through: each filter and each order over a million statements or sends."""

from alembic import op

revision = "0002"
down_revision = "0001"

REPLACED = (
    ("ix_statements_dunning_date", "statements"),
    ("ix_statements_status", "statements"),
    ("ix_statements_status_dunning_date", "statements"),
    ("ix_statements_run_id", "statements"),
    ("ix_sends_status_due_at", "sends"),
)
MADE = (
    ("ix_statements_newest", "statements", ["dunning_date", "statement_id", "status"]),
    ("ix_statements_status", "statements", ["status", "dunning_date", "statement_id", "hold_reason"]),
    ("ix_statements_run_id", "statements", ["run_id", "dunning_date", "statement_id", "status"]),
    ("ix_statements_level", "statements", ["level", "dunning_date", "statement_id", "status"]),
    ("ix_statements_currency", "statements", ["currency", "dunning_date", "statement_id", "status"]),
    ("ix_statements_process", "statements", ["process", "dunning_date", "statement_id", "status"]),
    ("ix_statements_account_name", "statements", ["account_name", "statement_id"]),
    ("ix_statements_please_pay_minor", "statements", ["please_pay_minor", "statement_id"]),
    ("ix_sends_status_due_at", "sends", ["status", "due_at", "send_key"]),
    ("ix_sends_due_at", "sends", ["due_at", "send_key"]),
    ("ix_sends_sent_at", "sends", ["sent_at", "channel", "campaign", "status"]),
    ("ix_consents_consented_at", "consents", ["consented_at", "consent_id"]),
    ("ix_findings_status_raised_at", "findings", ["status", "raised_at", "finding_id"]),
    ("ix_audit_actor", "audit", ["actor", "at"]),
)


def upgrade() -> None:
    for name, table in REPLACED:
        op.drop_index(name, table_name=table)
    for name, table, columns in MADE:
        op.create_index(name, table, columns, unique=False)
