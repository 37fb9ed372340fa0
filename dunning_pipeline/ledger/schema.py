"""The ledger's tables: the transactional record of runs, statements, postings, sends, events and human acts.

Amounts are integer minor units of the row's currency. `*_at` are instants, `*_on` and `*_date` business dates, `*_key`
are `source:id` keys of the data model. Append-only tables are listed in APPEND_ONLY and guarded by triggers.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from dunning_pipeline.ledger.types import Instant, Json

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# -- what was decided ---------------------------------------------------------------------------------------------

runs = Table(
    "runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("kind", String, nullable=False),  # dunning | account | single
    Column("dunning_date", Date, nullable=False),
    Column("scope", Json, nullable=False),  # {"process", "levels", "account", "invoice", "segment"}
    Column("status", String, nullable=False),  # running | done | failed | cancelled | deleted
    Column("snapshot", String),  # serving/<snapshot>.duckdb that it decided on
    Column("facts_as_of", Instant),  # last ingest of payments
    Column("counts", Json),
    Column("error", Text),
    Column("started_at", Instant, nullable=False),  # business clock
    Column("finished_at", Instant),
    Column("created_by", String, nullable=False),
)

process_versions = Table(
    "process_versions",
    metadata,
    Column("process_hash", String, primary_key=True),
    Column("process", String, nullable=False),
    Column("content", Json, nullable=False),  # the whole validated process
    Column("first_seen_at", Instant, nullable=False),
)

assignments = Table(  # bill group → process; the newest open row counts
    "assignments",
    metadata,
    Column("assignment_id", String, primary_key=True),
    Column("bill_group_key", String, nullable=False, index=True),  # the account_key for an implicit bill group
    Column("account_key", String, nullable=False, index=True),
    Column("process", String, nullable=False),  # a process name, or none
    Column("process_hash", String),  # version that a running case keeps (freeze)
    Column("origin", String, nullable=False),  # bill_group | account_default | tenant_default | manual
    Column("reason", Text),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
)

statements = Table(
    "statements",
    metadata,
    Column("statement_id", String, primary_key=True),
    Column("number", String, unique=True),  # gapless per series, given at closing
    Column("kind", String, nullable=False),  # dunning | account
    Column("status", String, nullable=False),  # draft | closed | voided | superseded | deleted
    Column("run_id", String, ForeignKey("runs.run_id"), nullable=False),
    Column("dunning_date", Date, nullable=False),
    Column("account_key", String, nullable=False, index=True),
    Column("account_id", String, nullable=False),
    Column("account_name", String, nullable=False),
    Column("unified_account_id", String),
    Column("bill_group_key", String, nullable=False, index=True),
    Column("bill_group_id", String),
    Column("unit_key", String, nullable=False, index=True),  # unit of the process: account, bill group or invoice key
    Column("legal_entity", String),
    Column("process", String),
    Column("process_hash", String),
    Column("level", Integer),
    Column("level_name", String),
    Column("currency", String(3), nullable=False),
    Column("due_date", Date),  # the new deadline
    Column("language", String, nullable=False),
    Column("time_zone", String),
    Column("template", String, nullable=False),
    Column("channels", Json, nullable=False),  # ["email", "letter", …] after consent and suppression
    Column("approval", String, nullable=False),  # automatic | review
    Column("attach_invoices", Boolean, nullable=False),
    Column("do_not_send", Boolean, nullable=False),
    Column("recipients", Json, nullable=False),  # {"to": […], "cc": […], "bcc": […], "sms": […], "trace": […]}
    Column("address", Json, nullable=False),  # {"name", "street", "postal_code", "city", "state", "country"}
    Column("distribution", Json, nullable=False),
    Column("texts", Json, nullable=False),  # hand-written overrides; empty = from the template
    Column("hand_edits", Json, nullable=False),  # field → value set by hand; survives a repeated run
    Column("conflicts", Json, nullable=False),  # field → what the repeated run would have put
    Column("proposal_sha256", String),  # of the proposal it was drafted from: the same again changes nothing
    Column("principal_minor", BigInteger, nullable=False),
    Column("credits_minor", BigInteger, nullable=False),  # negative or 0
    # all that the account had with this creditor when it was decided, shown or not, 0 or above; null: not compared
    Column("open_credits_minor", BigInteger),
    Column("interest_minor", BigInteger, nullable=False),  # new and carried
    Column("fees_minor", BigInteger, nullable=False),  # new and carried, compensation included
    Column("please_pay_minor", BigInteger, nullable=False),
    Column("hold_reason", String),  # a draft that needs a person says why
    Column("content", Json),  # the merge document, frozen at closing
    Column("content_sha256", String),
    Column("letter_version", String),  # template version of its letter, pinned at closing: the PDF can be made again
    Column("pdf_sha256", String),
    Column("superseded_by", String),
    Column("void_reason", Text),
    Column("row_version", Integer, nullable=False),  # optimistic locking
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("updated_by", String, nullable=False),
    Column("closed_at", Instant),
    Column("closed_by", String),
    Column("voided_at", Instant),
    Column("voided_by", String),
    # one open draft per unit, level (per_level grouping) and currency: `draft_key` is null once it is no draft
    Column("draft_key", String, unique=True),
    # the lists of people: each filter and each order has its index, and a page of a million rows is 51 steps in one;
    # `status` stands last so that a count need not fetch rows
    Index("ix_statements_newest", "dunning_date", "statement_id", "status"),
    Index("ix_statements_status", "status", "dunning_date", "statement_id", "hold_reason"),
    Index("ix_statements_run_id", "run_id", "dunning_date", "statement_id", "status"),
    Index("ix_statements_level", "level", "dunning_date", "statement_id", "status"),
    Index("ix_statements_currency", "currency", "dunning_date", "statement_id", "status"),
    Index("ix_statements_process", "process", "dunning_date", "statement_id", "status"),
    Index("ix_statements_account_name", "account_name", "statement_id"),
    Index("ix_statements_please_pay_minor", "please_pay_minor", "statement_id"),
)

statement_details = Table(
    "statement_details",
    metadata,
    Column("statement_id", String, ForeignKey("statements.statement_id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column(
        "type", String, nullable=False
    ),  # invoice | interest | carried_interest | fee | carried_fee | compensation | credit
    Column("invoice_key", String, index=True),
    Column("invoice_id", String),
    Column("invoice_number", String),
    Column("instalment", Integer),
    Column("level", Integer),
    Column("due_date", Date),
    Column("days_overdue", Integer),
    Column("original_minor", BigInteger),
    Column("open_minor", BigInteger),
    Column("amount_minor", BigInteger, nullable=False),  # what the line adds to please_pay
    Column("advances", Boolean),  # the item reaches `level` with this statement
    Column("reference", String),
    Column("calculation", Json),  # interest segments, fee basis, exchange rate
)

postings = Table(  # charges of the account, apart from principal
    "postings",
    metadata,
    Column("posting_id", String, primary_key=True),
    Column("posting_key", String, nullable=False, unique=True),  # once per business fact
    Column("type", String, nullable=False),  # fee | interest | compensation | reversal | waiver | payment
    Column("statement_id", String, index=True),
    Column("reverses", String),  # posting_id
    Column("account_key", String, nullable=False, index=True),
    Column("bill_group_key", String),
    Column("legal_entity", String),
    Column("invoice_key", String, index=True),
    Column("instalment", Integer),
    Column("level", Integer),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),  # raises (+) or lowers (−) what the account owes
    Column("posted_on", Date, nullable=False),
    Column("reason", Text),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
)

item_levels = Table(  # append-only: which item got which level by which statement
    "item_levels",
    metadata,
    Column("item_level_id", String, primary_key=True),  # statement:item:event
    Column("invoice_key", String, nullable=False, index=True),
    Column("instalment", Integer, nullable=False),
    Column("level", Integer, nullable=False),
    Column("process", String, nullable=False),
    Column("event", String, nullable=False),  # reached | revoked (voided, all recipients bounced)
    Column("statement_id", String, nullable=False, index=True),
    Column("sent_on", Date, nullable=False),
    Column("deadline", Date),
    Column("is_before_due", Boolean, nullable=False),  # levels at days <= 0 never count for sequence or interval
    Column("created_at", Instant, nullable=False),
)

distributions = Table(  # append-only: which PDF lies at which target
    "distributions",
    metadata,
    Column("statement_id", String, primary_key=True),
    Column("target", String, primary_key=True),  # folder or URL of a store
    Column("pdf_sha256", String, primary_key=True),
    Column("path", String, nullable=False),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
)

number_series = Table(
    "number_series",
    metadata,
    Column("series", String, primary_key=True),  # dunning:2025
    Column("last_number", Integer, nullable=False),
)

decisions = Table(  # rows of drafted statements; all rows are in Parquet
    "decisions",
    metadata,
    Column("statement_id", String, primary_key=True),
    Column("invoice_key", String, primary_key=True),
    Column("instalment", Integer, primary_key=True),
    Column("run_id", String, nullable=False, index=True),
    Column("account_key", String, nullable=False, index=True),
    Column("included", Boolean, nullable=False),
    Column("reason", String, nullable=False),
    Column("level_before", Integer),
    Column("level_after", Integer),
    Column("process", String),
    Column("process_hash", String),
    Column("inputs", Json, nullable=False),
)

# -- what people said -----------------------------------------------------------------------------------------------

blocks = Table(
    "blocks",
    metadata,
    Column("block_id", String, primary_key=True),
    Column("scope", String, nullable=False),  # account | bill_group | invoice
    Column("target_key", String, nullable=False, index=True),
    Column("kind", String, nullable=False),  # block | dispute | pause
    Column("reason", Text, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
    Column("ended_at", Instant),
    Column("ended_by", String),
)

promises = Table(
    "promises",
    metadata,
    Column("promise_id", String, primary_key=True),
    Column("account_key", String, nullable=False, index=True),
    Column("invoice_key", String, index=True),  # null = the whole account
    Column("amount_minor", BigInteger),
    Column("currency", String(3)),
    Column("promised_for", Date, nullable=False),
    Column("promised_on", Date, nullable=False),
    Column("note", Text),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
    Column("withdrawn_at", Instant),
)

postponements = Table(
    "postponements",
    metadata,
    Column("postponement_id", String, primary_key=True),
    Column("invoice_key", String, nullable=False, index=True),
    Column("instalment", Integer),  # null = all
    Column("postponed_to", Date, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_on", Date, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
    Column("ended_at", Instant),
)

notes = Table(
    "notes",
    metadata,
    Column("note_id", String, primary_key=True),
    Column("object_kind", String, nullable=False),
    Column("object_id", String, nullable=False, index=True),
    Column("body", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
)

# -- what left and what came back -----------------------------------------------------------------------------------

sends = Table(
    "sends",
    metadata,
    Column("send_key", String, primary_key=True),  # hash of business facts, see delivery.keys
    Column("kind", String, nullable=False),  # dunning | account | campaign | collection_plan | draft | resend:<n> …
    Column("channel", String, nullable=False),  # email | sms | letter | payment_retry | task
    Column("statement_id", String, index=True),
    Column("campaign", String, index=True),
    Column("occurrence", String),
    Column("account_key", String, nullable=False, index=True),  # of a digest the first; see send_accounts
    Column("bill_group_key", String),
    Column("unified_account_id", String),
    Column("template", String),
    Column("template_version", String),  # pinned when queued
    Column("language", String),
    Column("time_zone", String),
    Column("recipients", Json, nullable=False),  # {"to": […], "cc": […], "bcc": […]}
    Column("overrides", Json),  # {"subject", "body", "attachments"} of a hand-edited send
    Column("document", Json),  # merge document of a message without a statement
    Column("content_sha256", String, nullable=False),  # of what determines the message
    Column("amount_minor", BigInteger),  # payment retries
    Column("currency", String(3)),
    Column("status", String, nullable=False),  # queued|in_flight|sent|held|superseded|cancelled|failed|unknown
    Column("reason", String),
    Column("delivery", String),  # delivered | bounced | deferred | dropped | opened …
    Column("delivery_at", Instant),
    Column("due_at", Instant, nullable=False),  # not before
    Column("send_now", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", Instant),  # real clock
    Column("claimed_by", String),  # worker: host:pid:start
    Column("claimed_at", Instant),  # real clock
    Column("phase", String),  # claimed | rendered | leaving: how far an in_flight one got
    Column("provider", String),
    Column("provider_message_id", String, index=True),
    Column("queued_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("held_back_at", Instant),  # when it was last held for this reason, cancelled or superseded
    Column("created_by", String, nullable=False),
    Index("ix_sends_status_due_at", "status", "due_at", "send_key"),
    Index("ix_sends_due_at", "due_at", "send_key"),
    Index("ix_sends_sent_at", "sent_at", "channel", "campaign", "status"),
)

send_accounts = Table(  # append-only: every account that a digest tells of; other sends are of their account_key alone
    "send_accounts",
    metadata,
    Column("send_key", String, primary_key=True),
    Column("account_key", String, primary_key=True, index=True),
)

send_attempts = Table(  # append-only outcome of each attempt
    "send_attempts",
    metadata,
    Column("attempt_id", String, primary_key=True),  # send_key:n:phase
    Column("send_key", String, nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("outcome", String, nullable=False),  # sent | refused | failed | unknown | resolved …
    Column("provider", String),
    Column("provider_status", String),
    Column("answer", Text),
    Column("rendered_sha256", String),
    Column("at", Instant, nullable=False),
    Column("by", String, nullable=False),
)

provider_events = Table(  # append-only, once per provider event id
    "provider_events",
    metadata,
    Column("event_id", String, primary_key=True),  # sg_event_id, or a hash of the event
    Column("provider", String, nullable=False),
    Column("event", String, nullable=False),
    Column("send_key", String, index=True),
    Column("address", String),
    Column("occurred_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("payload", Json, nullable=False),
)

consents = Table(  # append-only; the newest (date, opt_out first) counts
    "consents",
    metadata,
    Column("consent_id", String, primary_key=True),
    Column("contact_point", String, nullable=False, index=True),  # normalised e-mail or E.164
    Column("channel", String, nullable=False),  # email | sms
    Column("subscription", String, nullable=False),  # dunning | …
    Column("status", String, nullable=False),  # opt_in | opt_out
    Column("consented_at", Instant, nullable=False),
    Column("origin", String, nullable=False),  # file and line, webhook, preference page, person
    Column("recorded_at", Instant, nullable=False),
    Index("ix_consents_consented_at", "consented_at", "consent_id"),
)

suppressions = Table(
    "suppressions",
    metadata,
    Column("suppression_id", String, primary_key=True),
    Column("contact_point", String, nullable=False, index=True),
    Column("channel", String, nullable=False),
    Column("reason", String, nullable=False),  # hard_bounce | complaint | invalid | manual | stop_word
    Column("origin", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("lifted_at", Instant),
    Column("lifted_by", String),
)

template_versions = Table(
    "template_versions",
    metadata,
    Column("version", String, primary_key=True),  # sha256 of the compiled template
    Column("template", String, nullable=False, index=True),
    Column("channel", String, nullable=False),
    Column("language", String, nullable=False),
    Column("compiled", Json, nullable=False),  # {"subject", "preheader", "html", "text"} or the letter's wording
    Column("published_at", Instant, nullable=False),
    Column("published_by", String, nullable=False),
)

campaign_occurrences = Table(
    "campaign_occurrences",
    metadata,
    Column("campaign", String, primary_key=True),
    Column("occurrence", String, primary_key=True),  # ISO instant or manual:<id>
    Column("planned_for", Instant, nullable=False),
    Column("status", String, nullable=False),  # planned | running | done | paused | cancelled | failed
    Column("audience", Integer),
    Column("held_out", Integer),
    Column("counts", Json),
    Column("definition", Json),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("created_by", String, nullable=False),
)

campaign_members = Table(  # audience frozen at start, hold-out included
    "campaign_members",
    metadata,
    Column("campaign", String, primary_key=True),
    Column("occurrence", String, primary_key=True),
    Column("unified_account_id", String, primary_key=True),
    Column("is_held_out", Boolean, nullable=False),
    Column("outcome", String, nullable=False),  # queued | no_statement | no_channel | …: never silently skipped
)

# -- watching over it -----------------------------------------------------------------------------------------------

switches = Table(  # stop button, paused campaigns, open circuits
    "switches",
    metadata,
    Column("name", String, primary_key=True),  # stop | campaign:<name> | circuit:<provider>
    Column("value", Json, nullable=False),
    Column("reason", Text),
    Column("set_by", String, nullable=False),
    Column("set_at", Instant, nullable=False),
)

homes = Table(  # append-only: where the ledger was when messages left; the highest number counts
    "homes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("identity", Json, nullable=False),  # {"file", "machine", "cards"} or {"server", "database"}: ledger.home
    Column("place", Text, nullable=False),  # for people
    Column("since", Instant, nullable=False),
    Column("by", String, nullable=False),
)

findings = Table(
    "findings",
    metadata,
    Column("finding_id", String, primary_key=True),
    Column("finding_key", String, nullable=False, unique=True),  # kind:object: raised once while open
    Column("kind", String, nullable=False, index=True),
    Column("severity", String, nullable=False),  # info | warning | error
    Column("object_kind", String, nullable=False),
    Column("object_id", String, nullable=False, index=True),
    Column("message", Text, nullable=False),
    Column("detail", Json),
    Column("status", String, nullable=False),  # open | done
    Column("raised_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("done_at", Instant),
    Column("done_by", String),
    Index("ix_findings_status_raised_at", "status", "raised_at", "finding_id"),
)

audit = Table(  # append-only
    "audit",
    metadata,
    Column("audit_id", String, primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    Column("business_at", Instant, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("object_kind", String, nullable=False),
    Column("object_id", String, nullable=False, index=True),
    Column("before", Json),
    Column("after", Json),
    Column("reason", Text),
    Index("ix_audit_actor", "actor", "at"),
)

leases = Table(  # one dunning run at a time, one recovery at a time
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),  # host:pid:start
    Column("acquired_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

stream_loads = Table(
    "stream_loads",
    metadata,
    Column("load_id", String, primary_key=True),
    Column("source", String, nullable=False),
    Column("object", String, nullable=False, index=True),
    Column("loaded_at", Instant, nullable=False),  # business clock
    Column("rows_read", BigInteger, nullable=False),
    Column("rows_loaded", BigInteger, nullable=False),
    Column("rows_rejected", BigInteger, nullable=False),
    Column("rows_closed", BigInteger, nullable=False),
    Column("watermark", String),
    Column("files", Json, nullable=False),
)

identity_decisions = Table(
    "identity_decisions",
    metadata,
    Column("decision_id", String, primary_key=True),
    Column("kind", String, nullable=False),  # individual | account
    Column("verdict", String, nullable=False),  # must_link | cannot_link
    Column("left_record", String, nullable=False, index=True),
    Column("right_record", String, nullable=False, index=True),
    Column("reason", Text),
    Column("decided_at", Instant, nullable=False),
    Column("decided_by", String, nullable=False),
    Column("withdrawn_at", Instant),
    UniqueConstraint("kind", "left_record", "right_record", "withdrawn_at"),
)

unified_ids = Table(  # stable ids outlive the warehouse
    "unified_ids",
    metadata,
    Column("kind", String, primary_key=True),
    Column("record_key", String, primary_key=True),
    Column("unified_id", String, nullable=False, index=True),
    Column("since_run", String, nullable=False),
)

renamed_keys = Table(  # append-only: what a source calls something else now; the newest row of a new key counts
    "renamed_keys",
    metadata,
    Column("renamed_id", String, primary_key=True),  # ascending in time
    Column("kind", String, nullable=False),  # account | bill_group | invoice
    Column("new_key", String, nullable=False),  # as the source has it
    Column("old_key", String, nullable=False),  # as the ledger has it, for ever; the new key itself: no other's name
    Column("reason", Text, nullable=False),
    Column("noticed_at", Instant, nullable=False),
    Column("noticed_by", String, nullable=False),
)

unified_id_events = Table(
    "unified_id_events",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("event", String, nullable=False),  # new | merge | split | retire
    Column("old_id", String),
    Column("new_id", String),
    Column("reason", Json),
    Column("at", Instant, nullable=False),
)

# -- the console ----------------------------------------------------------------------------------------------------

users = Table(
    "users",
    metadata,
    Column("user_id", String, primary_key=True),
    Column("login", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("email", String),
    Column("role", String, nullable=False),  # viewer | collector | approver | admin
    Column("password_hash", String),
    Column("must_change_password", Boolean, nullable=False),
    Column("row_scope", String),  # null = all; else the owner whose accounts are shown
    Column("language", String),
    Column("failed_logins", Integer, nullable=False),
    Column("locked_until", Instant),
    Column("is_active", Boolean, nullable=False),
    Column("oidc_subject", String, unique=True),
    Column("created_at", Instant, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_hash", String, primary_key=True),  # sha256 of the cookie's token
    Column("user_id", String, ForeignKey("users.user_id"), nullable=False, index=True),
    Column("csrf_token", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

jobs = Table(  # long actions of the console go on after a restart
    "jobs",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("action", String, nullable=False),
    Column("arguments", Json, nullable=False),
    Column("status", String, nullable=False),  # queued | running | done | failed | cancelled
    Column("progress", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("message", Text),
    Column("result", LargeBinary),
    Column("created_by", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("claimed_by", String),
    Column("finished_at", Instant),
)

# Rows of these tables are never updated and never deleted; triggers on both databases hold it.
APPEND_ONLY = (
    "postings",
    "item_levels",
    "distributions",
    "send_accounts",
    "send_attempts",
    "provider_events",
    "consents",
    "audit",
    "renamed_keys",
    "homes",
    "unified_id_events",
    "process_versions",
)

# One dunning run at a time. The condition on PostgreSQL is said by ledger.engine, because saying it
# here would load that dialect (a tenth of a second) into every command on SQLite.
RUNNING = text("status = 'running' and kind = 'dunning'")
one_running = Index("uq_runs_one_running", runs.c.kind, unique=True, sqlite_where=RUNNING)
