"""The pure media core: access units in, segments and playlists out; no FFmpeg, no AWS, no I/O."""
