"""Restarts lost executions."""
