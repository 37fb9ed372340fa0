"""The small built company of the campaigns' stories, as a code location of Dagster."""

from tests.campaigns.conftest import built_company, company

__all__ = ["built_company", "company"]
