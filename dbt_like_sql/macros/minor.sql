{#- Major units (decimal) as integer minor units, half up once; per_minor = ten-thousandths in one minor unit. -#}
{% macro to_minor(amount, per_minor) -%}
    cast(sign({{ amount }}) * ((2 * abs(cast({{ amount }} * 10000 as hugeint)) + {{ per_minor }}) // (2 * {{ per_minor }})) as bigint)
{%- endmacro %}
{#- A fraction of integers, rounded half up; numerator not negative. -#}
{% macro half_up(numerator, denominator) -%}
    cast((2 * cast({{ numerator }} as hugeint) + {{ denominator }}) // (2 * {{ denominator }}) as bigint)
{%- endmacro %}
