-- The level each item has reached by the dunning date: by statements that were sent and not taken back since.
-- Grain: one row per invoice_key and instalment. Notices before the due date are kept apart and never count.
with

events as (

    select
        invoice_key, instalment, statement_id, level, event, sent_on, deadline, is_before_due,
        row_number() over (partition by statement_id, invoice_key, instalment, event order by sent_on) as occasion
    from {{ source('ops', 'item_levels') }}
    where sent_on <= {{ run_date() }}

),

standing as (

    select reached.*
    from events as reached
    where reached.event = 'reached'
        and not exists (
            select 1
            from events as revoked
            where revoked.event = 'revoked'
                and revoked.statement_id = reached.statement_id
                and revoked.invoice_key = reached.invoice_key
                and revoked.instalment = reached.instalment
                -- what bounced and then arrived by another way was reached twice and taken back once
                and revoked.occasion = reached.occasion
        )

)

select
    invoice_key,
    instalment,
    max(case when not is_before_due then level end) as last_level,
    max(case when not is_before_due then sent_on end) as last_sent_on,
    max(case when not is_before_due then deadline end) as last_deadline,
    max(case when is_before_due then level end) as last_notice_level,
    max(cast(sent_on as varchar) || statement_id) as last_event,
    max_by(statement_id, cast(sent_on as varchar) || statement_id) as last_statement_id
from standing
group by invoice_key, instalment
