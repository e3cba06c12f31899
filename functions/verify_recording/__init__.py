"""Closes a recording from what the store holds; repeatable."""
