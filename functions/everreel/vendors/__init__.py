"""Adapters to services that record elsewhere, behind `supervisor.provider`."""
