"""Alembic's entry: runs the migrations on the connection that `ledger.migrating` hands over."""

from alembic import context

from dunning_pipeline.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes a table by copying it; PostgreSQL alters it in place
    render_as_batch=True,
    compare_type=False,
)
with context.begin_transaction():
    context.run_migrations()
