"""everreel records live streams of any length on functions that live fifteen minutes.

A request becomes a recording, a recording runs laps, a lap commits segments, and segments become
playlists, clips and events; looks and notices keep the recording alive until it is sealed.
"""

__version__ = "0.1.0"
