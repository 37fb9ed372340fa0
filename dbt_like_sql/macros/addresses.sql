{#- An e-mail address as consents and suppressions hold it: bare, lower case, gmail without dots and plus parts. -#}
{% macro normalized_email(column) -%}
    {%- set bare = "lower(trim(both '<>\"'' ' from replace(" ~ column ~ ", '\"', '')))" -%}
    case
        when {{ bare }} like '%@gmail.com' or {{ bare }} like '%@googlemail.com'
            then replace(split_part(split_part({{ bare }}, '@', 1), '+', 1), '.', '') || '@gmail.com'
        else {{ bare }}
    end
{%- endmacro %}

{#- An e-mail address as it is written to: bare and lower case, null where it cannot be one. -#}
{% macro written_email(column) -%}
    {%- set bare = "lower(trim(both '<>\"'' ' from replace(" ~ column ~ ", '\"', '')))" -%}
    case when regexp_matches({{ bare }}, '^[^@\s,;<>()]+@[^@\s,;<>()]+\.[^@\s,;<>().]+$') then {{ bare }} end
{%- endmacro %}

{#- A phone number with its country code as E.164; null for a number that does not say its country. -#}
{% macro e164(column) -%}
    case
        when regexp_matches(regexp_replace({{ column }}, '[^0-9+]', '', 'g'), '^(\+|00)[1-9][0-9]{6,14}$')
            then '+' || regexp_replace(regexp_replace({{ column }}, '[^0-9]', '', 'g'), '^00', '')
    end
{%- endmacro %}
