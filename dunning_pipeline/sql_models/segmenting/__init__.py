"""Segments: previewed while they are edited, published with their members, ranked in waterfalls."""
