"""The desk and the cleared environment of the delivery room."""

from tests.delivery.conftest import _no_providers, desk

__all__ = ["_no_providers", "desk"]
