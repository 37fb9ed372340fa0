{#- The business date of the build. There is no other clock in the models. -#}
{% macro run_date() -%}
    cast('{{ var("run_date") }}' as date)
{%- endmacro %}
