"""Adapters to AWS services that belong to no port package of their own."""
