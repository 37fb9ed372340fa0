"""Proposals become drafts, which people edit and approve before they are closed."""
