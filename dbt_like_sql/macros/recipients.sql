{#- The recipients of a statement as JSON; the process says which copies it wants. -#}
{% macro statement_recipients(cc_role, cc_account) -%}
    cast(to_json(struct_pack(
        "to" := coalesce(recipients.email_to, cast([] as varchar[])),
        cc := list_sort(list_distinct(list_concat(
            case when {{ cc_role }} then coalesce(recipients.email_cc_role, cast([] as varchar[]))
                else cast([] as varchar[]) end,
            case when {{ cc_account }} then coalesce(recipients.email_cc_account, cast([] as varchar[]))
                else cast([] as varchar[]) end
        ))),
        bcc := coalesce(recipients.email_bcc, cast([] as varchar[])),
        sms := case when recipients.sms_to is null or recipients.sms_blocked_reason is not null
            then cast([] as varchar[]) else [recipients.sms_to] end,
        trace := cast(coalesce(recipients.trace, 'null') as json)
    )) as varchar)
{%- endmacro %}
