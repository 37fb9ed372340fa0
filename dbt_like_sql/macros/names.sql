{#- For dbt: the folder that a model lies in is its schema. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ node.original_file_path.split('/')[0] }}
{%- endmacro %}
