"""How long and how large a segment may wait or grow, each with its reason."""

JOIN_WAIT_US = 2_000_000
"""Audio alone is recorded from the start if no video format shows up for this long."""

VIDEO_WAIT_US = 5_000_000
"""The same when a video format was announced but not one picture comes."""

KEYFRAME_WAIT_US = 20_000_000
"""The same when pictures come but none of them is a keyframe."""

SKEW_US = 2_000_000
"""How far audio may lag behind video in the transport and still join its own segment."""

LONGEST_US = 60_000_000
"""A group of pictures longer than this is cut by force: what was received must be committed."""

LARGEST_BYTES = 64 * 1024 * 1024
"""The same bound in bytes, so that memory is bounded whatever the source sends."""
