"""How far the time of a source may stray before the timeline acts, each with its reason."""

STEP_US = 500_000
"""A step of a track up to this is ordinary and not looked at twice (frames, dropped frames)."""

JUMP_BACK_US = 1_000_000
"""Steps back up to this are disorder and are nudged; beyond, the clock was reset."""

JUMP_AHEAD_US = 2_000_000
"""A step ahead that outruns the wall clock by more than this is a jump, not a pause."""

SILENCE_US = 1_500_000
"""Nothing arriving for this long makes us ask whether the server hides an outage."""

CATCH_UP_US = 700_000
"""Media that comes within this of its usual delay again was only late: nothing is missing."""

PROBATION_US = 2_000_000
"""How long media after a silence may take to catch up before the silence counts as an outage."""

GAP_US = 500_000
"""Missing time from which on it is written down as a gap."""

DRIFT_PPM = 300
"""How much slower than ours the clock of a source may run without looking like an outage."""

NUDGE_US = 25
"""Distance kept between equal decode times: more than one tick of every timescale we write."""

GATHERED_US = 300_000
"""A flowing stream is read a quarter of a second at a time: a pause up to this may be none."""

APART_US = 5_000_000
"""Tracks on one clock start this near to each other; farther apart is another clock."""

ROUNDING_US = 1_000
"""Ends and starts this near to each other meet: no clock that we read is coarser."""

FRAME_US = 40_000
"""Least distance to the last unit when a reset clock goes on."""

REFERENCE_WAIT_US = 1_500_000
"""How long tracks with clocks of their own wait in any case: what a server had in store is late."""

REPORT_WAIT_US = 8_000_000
"""How long they wait for what the senders measure: a server's promise is off by a few frames.

Reports come within 6.2 s of each other (5 s times 1.5, divided by e - 1.5; RFC 3550 §6.3.1)."""

DOUBT_WAIT_US = 13_000_000
"""How long they wait for reports that agree: two from each sender come within this (2 x 6.2 s)."""

AGREED_US = 10_000
"""Claims agree if they lay the tracks alike within this: nobody sees or hears it."""

BUFFERED_US = 2_000_000
"""How much longer than the other a server may keep one track; claims that agree hold up to it."""

TOGETHER_US = 600_000
"""The same where claims do not agree: what is captured together arrives together."""

HELD_BYTES = 16 * 1024 * 1024
"""Units are held back for a decision no longer once they are this many bytes."""
