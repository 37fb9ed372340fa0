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

{#- A phone number as E.164: as it says itself (+49 …, 0049 …), else as dialled inside the country of those prefixes.
    Null for a number that does not say its country where that is not known, and for what is no number. -#}
{% macro e164(column, calling_code, trunk_prefix) -%}
    {%- set plain = "regexp_replace(replace(" ~ column ~ ", '(0)', ''), '[^0-9+]', '', 'g')" -%}
    case
        when regexp_matches({{ column }}, '[A-Za-z]') then null
        when regexp_matches({{ plain }}, '^(\+|00)[1-9][0-9]{6,14}$') then '+' || regexp_replace({{ plain }}, '^(\+|00)', '')
        when regexp_matches({{ plain }}, '^[0-9]{6,13}$')
            then '+' || {{ calling_code }} || case
                when {{ trunk_prefix }} <> '' and starts_with({{ plain }}, {{ trunk_prefix }})
                    then substr({{ plain }}, length({{ trunk_prefix }}) + 1)
                else {{ plain }}
            end
    end
{%- endmacro %}

{#- Whether a letter can be brought there: to a street, or to a postal code with its city, as those have who get much
    mail. A city alone is no address. -#}
{% macro is_postal(holder) -%}
    ({{ holder }}.street is not null or ({{ holder }}.postal_code is not null and {{ holder }}.city is not null))
{%- endmacro %}
