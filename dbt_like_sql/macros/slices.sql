{#- Keeps the rows of the slice that is being built; all of them where a model is built at once. -#}
{% macro in_slice(key) -%}
    {%- if var('slices', 1) > 1 -%} hash({{ key }}) % {{ var('slices') }} = {{ var('slice') }} {%- else -%} true {%- endif -%}
{%- endmacro %}
