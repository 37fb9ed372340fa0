-- What each data stream last brought in, and how old that is: the lake's own table of contents.
-- Grain: one row per source and object. Owner: data-platform.
with

loads as (

    select *
    from {{ source('ops', 'stream_loads') }}

),

newest as (

    select
        source,
        object,
        loaded_at as last_loaded_at,
        rows_read,
        rows_loaded,
        rows_rejected,
        rows_closed,
        watermark
    from loads
    qualify row_number() over (partition by source, object order by loaded_at desc, load_id desc) = 1

)

select * from newest
order by source, object
