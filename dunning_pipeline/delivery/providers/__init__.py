"""The seams to the outside: one small class per way out, all answering in the same words (see protocol.py)."""
