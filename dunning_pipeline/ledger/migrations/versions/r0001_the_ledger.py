"""The ledger as first released. Its guards are set by ledger.migrating after the last revision."""

import sqlalchemy as sa
from alembic import op

from dunning_pipeline.ledger.types import Instant, Json

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "assignments",
        sa.Column("assignment_id", sa.String(), nullable=False),
        sa.Column("bill_group_key", sa.String(), nullable=False),
        sa.Column("account_key", sa.String(), nullable=False),
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("process_hash", sa.String(), nullable=True),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("assignment_id", name=op.f("pk_assignments")),
    )
    op.create_index("ix_assignments_account_key", "assignments", ["account_key"], unique=False)
    op.create_index("ix_assignments_bill_group_key", "assignments", ["bill_group_key"], unique=False)

    op.create_table(
        "audit",
        sa.Column("audit_id", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("business_at", Instant(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("before", Json(), nullable=True),
        sa.Column("after", Json(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_at", "audit", ["at"], unique=False)
    op.create_index("ix_audit_object_id", "audit", ["object_id"], unique=False)

    op.create_table(
        "blocks",
        sa.Column("block_id", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("target_key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("block_id", name=op.f("pk_blocks")),
    )
    op.create_index("ix_blocks_target_key", "blocks", ["target_key"], unique=False)

    op.create_table(
        "campaign_members",
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("occurrence", sa.String(), nullable=False),
        sa.Column("unified_account_id", sa.String(), nullable=False),
        sa.Column("is_held_out", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "occurrence", "unified_account_id", name=op.f("pk_campaign_members")),
    )
    op.create_table(
        "campaign_occurrences",
        sa.Column("campaign", sa.String(), nullable=False),
        sa.Column("occurrence", sa.String(), nullable=False),
        sa.Column("planned_for", Instant(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("audience", sa.Integer(), nullable=True),
        sa.Column("held_out", sa.Integer(), nullable=True),
        sa.Column("counts", Json(), nullable=True),
        sa.Column("definition", Json(), nullable=True),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("campaign", "occurrence", name=op.f("pk_campaign_occurrences")),
    )
    op.create_table(
        "consents",
        sa.Column("consent_id", sa.String(), nullable=False),
        sa.Column("contact_point", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("subscription", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("consented_at", Instant(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("consent_id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_contact_point", "consents", ["contact_point"], unique=False)

    op.create_table(
        "decisions",
        sa.Column("statement_id", sa.String(), nullable=False),
        sa.Column("invoice_key", sa.String(), nullable=False),
        sa.Column("instalment", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("account_key", sa.String(), nullable=False),
        sa.Column("included", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("level_before", sa.Integer(), nullable=True),
        sa.Column("level_after", sa.Integer(), nullable=True),
        sa.Column("process", sa.String(), nullable=True),
        sa.Column("process_hash", sa.String(), nullable=True),
        sa.Column("inputs", Json(), nullable=False),
        sa.PrimaryKeyConstraint("statement_id", "invoice_key", "instalment", name=op.f("pk_decisions")),
    )
    op.create_index("ix_decisions_account_key", "decisions", ["account_key"], unique=False)
    op.create_index("ix_decisions_run_id", "decisions", ["run_id"], unique=False)

    op.create_table(
        "distributions",
        sa.Column("statement_id", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("pdf_sha256", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("statement_id", "target", "pdf_sha256", name=op.f("pk_distributions")),
    )
    op.create_table(
        "findings",
        sa.Column("finding_id", sa.String(), nullable=False),
        sa.Column("finding_key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("object_kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("detail", Json(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("raised_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("done_at", Instant(), nullable=True),
        sa.Column("done_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("finding_id", name=op.f("pk_findings")),
        sa.UniqueConstraint("finding_key", name=op.f("uq_findings_finding_key")),
    )
    op.create_index("ix_findings_kind", "findings", ["kind"], unique=False)
    op.create_index("ix_findings_object_id", "findings", ["object_id"], unique=False)

    op.create_table(
        "identity_decisions",
        sa.Column("decision_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("left_record", sa.String(), nullable=False),
        sa.Column("right_record", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("withdrawn_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_identity_decisions")),
        sa.UniqueConstraint(
            "kind",
            "left_record",
            "right_record",
            "withdrawn_at",
            name=op.f("uq_identity_decisions_kind_left_record_right_record_withdrawn_at"),
        ),
    )
    op.create_index("ix_identity_decisions_left_record", "identity_decisions", ["left_record"], unique=False)
    op.create_index("ix_identity_decisions_right_record", "identity_decisions", ["right_record"], unique=False)

    op.create_table(
        "item_levels",
        sa.Column("item_level_id", sa.String(), nullable=False),
        sa.Column("invoice_key", sa.String(), nullable=False),
        sa.Column("instalment", sa.Integer(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("statement_id", sa.String(), nullable=False),
        sa.Column("sent_on", sa.Date(), nullable=False),
        sa.Column("deadline", sa.Date(), nullable=True),
        sa.Column("is_before_due", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("item_level_id", name=op.f("pk_item_levels")),
    )
    op.create_index("ix_item_levels_invoice_key", "item_levels", ["invoice_key"], unique=False)
    op.create_index("ix_item_levels_statement_id", "item_levels", ["statement_id"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("arguments", Json(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("result", sa.LargeBinary(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("claimed_by", sa.String(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_jobs")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("acquired_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "notes",
        sa.Column("note_id", sa.String(), nullable=False),
        sa.Column("object_kind", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("note_id", name=op.f("pk_notes")),
    )
    op.create_index("ix_notes_object_id", "notes", ["object_id"], unique=False)

    op.create_table(
        "number_series",
        sa.Column("series", sa.String(), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("series", name=op.f("pk_number_series")),
    )
    op.create_table(
        "postings",
        sa.Column("posting_id", sa.String(), nullable=False),
        sa.Column("posting_key", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("statement_id", sa.String(), nullable=True),
        sa.Column("reverses", sa.String(), nullable=True),
        sa.Column("account_key", sa.String(), nullable=False),
        sa.Column("bill_group_key", sa.String(), nullable=True),
        sa.Column("legal_entity", sa.String(), nullable=True),
        sa.Column("invoice_key", sa.String(), nullable=True),
        sa.Column("instalment", sa.Integer(), nullable=True),
        sa.Column("level", sa.Integer(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("posting_id", name=op.f("pk_postings")),
        sa.UniqueConstraint("posting_key", name=op.f("uq_postings_posting_key")),
    )
    op.create_index("ix_postings_account_key", "postings", ["account_key"], unique=False)
    op.create_index("ix_postings_invoice_key", "postings", ["invoice_key"], unique=False)
    op.create_index("ix_postings_statement_id", "postings", ["statement_id"], unique=False)

    op.create_table(
        "postponements",
        sa.Column("postponement_id", sa.String(), nullable=False),
        sa.Column("invoice_key", sa.String(), nullable=False),
        sa.Column("instalment", sa.Integer(), nullable=True),
        sa.Column("postponed_to", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_on", sa.Date(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("postponement_id", name=op.f("pk_postponements")),
    )
    op.create_index("ix_postponements_invoice_key", "postponements", ["invoice_key"], unique=False)

    op.create_table(
        "process_versions",
        sa.Column("process_hash", sa.String(), nullable=False),
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("content", Json(), nullable=False),
        sa.Column("first_seen_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("process_hash", name=op.f("pk_process_versions")),
    )
    op.create_table(
        "promises",
        sa.Column("promise_id", sa.String(), nullable=False),
        sa.Column("account_key", sa.String(), nullable=False),
        sa.Column("invoice_key", sa.String(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("promised_for", sa.Date(), nullable=False),
        sa.Column("promised_on", sa.Date(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("withdrawn_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("promise_id", name=op.f("pk_promises")),
    )
    op.create_index("ix_promises_account_key", "promises", ["account_key"], unique=False)
    op.create_index("ix_promises_invoice_key", "promises", ["invoice_key"], unique=False)

    op.create_table(
        "provider_events",
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("send_key", sa.String(), nullable=True),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("occurred_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("payload", Json(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_provider_events")),
    )
    op.create_index("ix_provider_events_send_key", "provider_events", ["send_key"], unique=False)

    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("dunning_date", sa.Date(), nullable=False),
        sa.Column("scope", Json(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=True),
        sa.Column("facts_as_of", Instant(), nullable=True),
        sa.Column("counts", Json(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
    )
    op.create_index(
        "uq_runs_one_running",
        "runs",
        ["kind"],
        unique=True,
        sqlite_where=sa.text("status = 'running' and kind = 'dunning'"),
        postgresql_where=sa.text("status = 'running' and kind = 'dunning'"),
    )

    op.create_table(
        "send_attempts",
        sa.Column("attempt_id", sa.String(), nullable=False),
        sa.Column("send_key", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=True),
        sa.Column("provider_status", sa.String(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("rendered_sha256", sa.String(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_send_attempts")),
    )
    op.create_index("ix_send_attempts_send_key", "send_attempts", ["send_key"], unique=False)

    op.create_table(
        "sends",
        sa.Column("send_key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("statement_id", sa.String(), nullable=True),
        sa.Column("campaign", sa.String(), nullable=True),
        sa.Column("occurrence", sa.String(), nullable=True),
        sa.Column("account_key", sa.String(), nullable=False),
        sa.Column("bill_group_key", sa.String(), nullable=True),
        sa.Column("unified_account_id", sa.String(), nullable=True),
        sa.Column("template", sa.String(), nullable=True),
        sa.Column("template_version", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("time_zone", sa.String(), nullable=True),
        sa.Column("recipients", Json(), nullable=False),
        sa.Column("overrides", Json(), nullable=True),
        sa.Column("document", Json(), nullable=True),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("delivery", sa.String(), nullable=True),
        sa.Column("delivery_at", Instant(), nullable=True),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("send_now", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", Instant(), nullable=True),
        sa.Column("claimed_by", sa.String(), nullable=True),
        sa.Column("claimed_at", Instant(), nullable=True),
        sa.Column("phase", sa.String(), nullable=True),
        sa.Column("provider", sa.String(), nullable=True),
        sa.Column("provider_message_id", sa.String(), nullable=True),
        sa.Column("queued_at", Instant(), nullable=False),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("send_key", name=op.f("pk_sends")),
    )
    op.create_index("ix_sends_account_key", "sends", ["account_key"], unique=False)
    op.create_index("ix_sends_campaign", "sends", ["campaign"], unique=False)
    op.create_index("ix_sends_provider_message_id", "sends", ["provider_message_id"], unique=False)
    op.create_index("ix_sends_statement_id", "sends", ["statement_id"], unique=False)
    op.create_index("ix_sends_status_due_at", "sends", ["status", "due_at"], unique=False)

    op.create_table(
        "stream_loads",
        sa.Column("load_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("object", sa.String(), nullable=False),
        sa.Column("loaded_at", Instant(), nullable=False),
        sa.Column("rows_read", sa.BigInteger(), nullable=False),
        sa.Column("rows_loaded", sa.BigInteger(), nullable=False),
        sa.Column("rows_rejected", sa.BigInteger(), nullable=False),
        sa.Column("rows_closed", sa.BigInteger(), nullable=False),
        sa.Column("watermark", sa.String(), nullable=True),
        sa.Column("files", Json(), nullable=False),
        sa.PrimaryKeyConstraint("load_id", name=op.f("pk_stream_loads")),
    )
    op.create_index("ix_stream_loads_object", "stream_loads", ["object"], unique=False)

    op.create_table(
        "suppressions",
        sa.Column("suppression_id", sa.String(), nullable=False),
        sa.Column("contact_point", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("lifted_at", Instant(), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("suppression_id", name=op.f("pk_suppressions")),
    )
    op.create_index("ix_suppressions_contact_point", "suppressions", ["contact_point"], unique=False)

    op.create_table(
        "switches",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", Json(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("set_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_switches")),
    )
    op.create_table(
        "template_versions",
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("compiled", Json(), nullable=False),
        sa.Column("published_at", Instant(), nullable=False),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_template_versions")),
    )
    op.create_index("ix_template_versions_template", "template_versions", ["template"], unique=False)

    op.create_table(
        "unified_id_events",
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("old_id", sa.String(), nullable=True),
        sa.Column("new_id", sa.String(), nullable=True),
        sa.Column("reason", Json(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_unified_id_events")),
    )
    op.create_table(
        "unified_ids",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("record_key", sa.String(), nullable=False),
        sa.Column("unified_id", sa.String(), nullable=False),
        sa.Column("since_run", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "record_key", name=op.f("pk_unified_ids")),
    )
    op.create_index("ix_unified_ids_unified_id", "unified_ids", ["unified_id"], unique=False)

    op.create_table(
        "users",
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("row_scope", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("locked_until", Instant(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("oidc_subject", sa.String(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
        sa.UniqueConstraint("login", name=op.f("uq_users_login")),
        sa.UniqueConstraint("oidc_subject", name=op.f("uq_users_oidc_subject")),
    )
    op.create_table(
        "sessions",
        sa.Column("session_hash", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("csrf_token", sa.String(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("session_hash", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)

    op.create_table(
        "statements",
        sa.Column("statement_id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("dunning_date", sa.Date(), nullable=False),
        sa.Column("account_key", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("account_name", sa.String(), nullable=False),
        sa.Column("unified_account_id", sa.String(), nullable=True),
        sa.Column("bill_group_key", sa.String(), nullable=False),
        sa.Column("bill_group_id", sa.String(), nullable=True),
        sa.Column("unit_key", sa.String(), nullable=False),
        sa.Column("legal_entity", sa.String(), nullable=True),
        sa.Column("process", sa.String(), nullable=True),
        sa.Column("process_hash", sa.String(), nullable=True),
        sa.Column("level", sa.Integer(), nullable=True),
        sa.Column("level_name", sa.String(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=True),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("channels", Json(), nullable=False),
        sa.Column("approval", sa.String(), nullable=False),
        sa.Column("attach_invoices", sa.Boolean(), nullable=False),
        sa.Column("do_not_send", sa.Boolean(), nullable=False),
        sa.Column("recipients", Json(), nullable=False),
        sa.Column("address", Json(), nullable=False),
        sa.Column("distribution", Json(), nullable=False),
        sa.Column("texts", Json(), nullable=False),
        sa.Column("hand_edits", Json(), nullable=False),
        sa.Column("conflicts", Json(), nullable=False),
        sa.Column("proposal_sha256", sa.String(), nullable=True),
        sa.Column("principal_minor", sa.BigInteger(), nullable=False),
        sa.Column("credits_minor", sa.BigInteger(), nullable=False),
        sa.Column("interest_minor", sa.BigInteger(), nullable=False),
        sa.Column("fees_minor", sa.BigInteger(), nullable=False),
        sa.Column("please_pay_minor", sa.BigInteger(), nullable=False),
        sa.Column("hold_reason", sa.String(), nullable=True),
        sa.Column("content", Json(), nullable=True),
        sa.Column("content_sha256", sa.String(), nullable=True),
        sa.Column("letter_version", sa.String(), nullable=True),
        sa.Column("pdf_sha256", sa.String(), nullable=True),
        sa.Column("superseded_by", sa.String(), nullable=True),
        sa.Column("void_reason", sa.Text(), nullable=True),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("updated_by", sa.String(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("voided_at", Instant(), nullable=True),
        sa.Column("voided_by", sa.String(), nullable=True),
        sa.Column("draft_key", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_statements_run_id")),
        sa.PrimaryKeyConstraint("statement_id", name=op.f("pk_statements")),
        sa.UniqueConstraint("draft_key", name=op.f("uq_statements_draft_key")),
        sa.UniqueConstraint("number", name=op.f("uq_statements_number")),
    )
    op.create_index("ix_statements_account_key", "statements", ["account_key"], unique=False)
    op.create_index("ix_statements_bill_group_key", "statements", ["bill_group_key"], unique=False)
    op.create_index("ix_statements_dunning_date", "statements", ["dunning_date"], unique=False)
    op.create_index("ix_statements_run_id", "statements", ["run_id"], unique=False)
    op.create_index("ix_statements_status", "statements", ["status"], unique=False)
    op.create_index("ix_statements_status_dunning_date", "statements", ["status", "dunning_date"], unique=False)
    op.create_index("ix_statements_unit_key", "statements", ["unit_key"], unique=False)

    op.create_table(
        "statement_details",
        sa.Column("statement_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("invoice_key", sa.String(), nullable=True),
        sa.Column("invoice_id", sa.String(), nullable=True),
        sa.Column("invoice_number", sa.String(), nullable=True),
        sa.Column("instalment", sa.Integer(), nullable=True),
        sa.Column("level", sa.Integer(), nullable=True),
        sa.Column("due_date", sa.Date(), nullable=True),
        sa.Column("days_overdue", sa.Integer(), nullable=True),
        sa.Column("original_minor", sa.BigInteger(), nullable=True),
        sa.Column("open_minor", sa.BigInteger(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("advances", sa.Boolean(), nullable=True),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("calculation", Json(), nullable=True),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["statements.statement_id"], name=op.f("fk_statement_details_statement_id")
        ),
        sa.PrimaryKeyConstraint("statement_id", "position", name=op.f("pk_statement_details")),
    )
    op.create_index("ix_statement_details_invoice_key", "statement_details", ["invoice_key"], unique=False)
