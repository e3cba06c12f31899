"""Decides who may call the API."""
