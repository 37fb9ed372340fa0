"""Data streams: from files and APIs of other systems to typed landing tables and the mapped data model."""

from dunning_pipeline.data_streams.ingesting import ingest
from dunning_pipeline.data_streams.load_report import LoadReport
from dunning_pipeline.data_streams.mapped import refresh_mapped_views

__all__ = ["LoadReport", "ingest", "refresh_mapped_views"]
