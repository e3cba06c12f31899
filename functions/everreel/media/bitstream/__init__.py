"""Parsers of codec headers: what a container or a playlist must know of a coded stream."""
