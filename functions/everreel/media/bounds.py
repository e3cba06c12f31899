"""Where a segment begins, and how long and how large it may wait or grow, each with its reason."""

from everreel.media.tolerances import ROUNDING_US

EARLY_US = ROUNDING_US // 2
"""How much a boundary lies before where units lie: between two ticks of the coarsest clock."""

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


def bucket(at_us: int, target_us: int) -> int:
    """Tell which bucket of time a position lies in.

    A bucket begins `EARLY_US` before its multiple of the target: keyframes often lie on multiples
    exactly, where two recorders whose clocks round differently would disagree.
    """
    return (at_us + EARLY_US) // target_us


def sound_from(at_us: int) -> int:
    """Tell from when on sound belongs to a segment that begins at `at_us`; as for buckets."""
    return max(at_us - EARLY_US, 0)
