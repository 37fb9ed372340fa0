"""Delivery: what was closed or scheduled becomes a row, then exactly one message, then whatever comes back of it."""

WORKERS = 8  # messages in flight at most, where nobody says otherwise: one at a time would send ten a second
