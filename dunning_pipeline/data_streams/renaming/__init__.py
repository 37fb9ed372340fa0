"""Accounts, bill groups and invoices that a source calls something else now are known by their first key for ever."""

from dunning_pipeline.data_streams.renaming.following import follow_renamed

__all__ = ["follow_renamed"]
