{#- An amount as a plain decimal string with its currency's decimals: 6522.96 EUR, 500 JPY. -#}
{% macro amount_text(amount, currency) -%}
    case
        when {{ currency }} in (
            'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF',
            'XPF'
        ) then cast(cast({{ amount }} as decimal(19, 0)) as varchar)
        when {{ currency }} in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND')
            then cast(cast({{ amount }} as decimal(19, 3)) as varchar)
        when {{ currency }} in ('CLF', 'UYW') then cast(cast({{ amount }} as decimal(19, 4)) as varchar)
        else cast(cast({{ amount }} as decimal(19, 2)) as varchar)
    end
{%- endmacro %}

{#- Ledger amounts (integer minor units) as major units, DECIMAL(19,4). Integers only: no binary fraction on the way. -#}
{% macro from_minor(amount_minor, currency) -%}
    cast({{ amount_minor }} as decimal(19, 4)) * case
        when {{ currency }} in (
            'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF',
            'XPF'
        ) then cast(1 as decimal(5, 4))
        when {{ currency }} in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then cast(0.001 as decimal(5, 4))
        when {{ currency }} in ('CLF', 'UYW') then cast(0.0001 as decimal(5, 4))
        else cast(0.01 as decimal(5, 4))
    end
{%- endmacro %}
