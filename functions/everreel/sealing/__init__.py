"""Closes a recording from what the store holds: final playlists, manifest, one file, and proof."""
