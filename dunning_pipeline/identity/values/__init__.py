"""Normalisers of single values: text as a source wrote it in, its comparable form (or nothing) out; no database."""
