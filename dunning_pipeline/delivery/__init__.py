"""Delivery: what was closed or scheduled becomes a row, then exactly one message, then whatever comes back of it."""
