"""Odd live streams with exact control: FLV tags, bent one way, served as HTTP-FLV.

Start from `from_clip`, bend with the functions below (each returns a new list), serve with
`HttpFlv`. A `Timed` tag keeps when it is sent apart from the timestamp it carries, so that a server
which re-stamps, compresses an outage or wraps its clock can be played.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tests.lab.clips import Clip
from tests.lab.digests import (
    UnitDigest,
    digest,
    normalise_video,
    split_length_prefixed,
)
from tests.lab.http_live import HttpLive, Reply
from tests.lab.publisher import Publisher
from tests.lab.wire import Tag, flv_file, flv_tags

AUDIO, VIDEO, SCRIPT = 8, 9, 18


@dataclass(frozen=True, slots=True)
class Timed:
    """A tag and when to send it.

    Units: `due_ms` milliseconds after the player connected.
    """

    due_ms: int
    tag: Tag


Script = list[Timed]


def is_header(tag: Tag) -> bool:
    """Whether a tag carries decoder configuration (H.264 or AAC)."""
    if len(tag.body) < 2:
        return False
    codec = tag.body[0] & 15 if tag.kind == VIDEO else tag.body[0] >> 4
    return tag.kind != SCRIPT and codec == (7 if tag.kind == VIDEO else 10) and tag.body[1] == 0


def is_key(tag: Tag) -> bool:
    """Whether a tag is a video keyframe."""
    return tag.kind == VIDEO and bool(tag.body) and tag.body[0] == 0x17 and not is_header(tag)


@cache
def _tags(clip: Clip) -> tuple[Tag, ...]:
    with tempfile.TemporaryDirectory(prefix="lab-flv-") as temp:
        path = Path(temp) / "clip.flv"
        with Publisher(clip, str(path), rounds=1, base_us=80_000, pace=0) as publisher:
            publisher.wait()
        return tuple(flv_tags(path.read_bytes()))


def from_clip(clip: Clip, until_ms: int | None = None) -> Script:
    """One round of an H.264 + AAC clip as FFmpeg would send it; starts near time 0."""
    tags = (t for t in _tags(clip) if until_ms is None or t.timestamp < until_ms)
    # FFmpeg ends a file with an end-of-sequence tag, which a live stream does not have.
    return [Timed(t.timestamp, t) for t in tags if not (t.kind == VIDEO and t.body[1:2] == b"\x02")]


def headers(script: Sequence[Timed], kind: int | None = None) -> Script:
    """The decoder configurations of a script."""
    return [t for t in script if is_header(t.tag) and kind in {None, t.tag.kind}]


def _at(item: Timed, due_ms: int, timestamp: int) -> Timed:
    return Timed(due_ms, replace(item.tag, timestamp=timestamp))


def shifted(script: Sequence[Timed], by_ms: int) -> Script:
    """Send later, and stamp so."""
    return [_at(t, t.due_ms + by_ms, t.tag.timestamp + by_ms) for t in script]


def only(script: Sequence[Timed], kind: int) -> Script:
    """One medium, without metadata."""
    return [t for t in script if t.tag.kind == kind]


def late_track(script: Sequence[Timed], kind: int, after_ms: int) -> Script:
    """A medium that begins, header and all, only after a while."""
    first = headers(script, kind)[0]
    held: Script = []
    opened = False
    for item in script:
        if item.tag.kind == kind:
            if item.due_ms < after_ms or is_header(item.tag):
                continue
            if not opened:
                held.append(_at(first, item.due_ms, item.tag.timestamp))
                opened = True
        held.append(item)
    return held


def headers_after_first_keyframe(script: Sequence[Timed]) -> Script:
    """Every decoder configuration comes just after the first keyframe."""
    moved, rest = headers(script), [t for t in script if not is_header(t.tag)]
    at = next(n for n, t in enumerate(rest) if is_key(t.tag)) + 1
    when = rest[at - 1]
    return [*rest[:at], *(_at(h, when.due_ms, when.tag.timestamp) for h in moved), *rest[at:]]


def wrap32(script: Sequence[Timed], after_ms: int) -> Script:
    """The 32-bit millisecond clock wraps to 0 after a while (RTMP and FLV keep 32 bits)."""
    start = (1 << 32) - after_ms
    return [_at(t, t.due_ms, (t.tag.timestamp + start) & 0xFFFFFFFF) for t in script]


def jump(script: Sequence[Timed], at_ms: int, by_ms: int) -> Script:
    """Timestamps leap forward or back from a moment on, sending goes on; headers come again.

    A leap below 0 begins at 0, as an encoder that was started anew.
    """
    before = [t for t in script if t.due_ms < at_ms]
    after = [t for t in script if t.due_ms >= at_ms and not is_header(t.tag)]
    by_ms = max(by_ms, -after[0].tag.timestamp)
    again = [_at(h, at_ms, after[0].tag.timestamp + by_ms) for h in headers(script)]
    return [*before, *again, *(_at(t, t.due_ms, t.tag.timestamp + by_ms) for t in after)]


def outage(
    script: Sequence[Timed], from_ms: int, until_ms: int, *, compressed: bool = False
) -> Script:
    """Nothing is sent for a while; a compressing server hides it in its timestamps."""
    hidden = until_ms - from_ms - 40 if compressed else 0
    before = [t for t in script if t.due_ms < from_ms]
    after = [t for t in script if t.due_ms >= until_ms and not is_header(t.tag)]
    return [*before, *(_at(t, t.due_ms, t.tag.timestamp - hidden) for t in after)]


def then(first: Sequence[Timed], second: Sequence[Timed]) -> Script:
    """One stream after the other without a gap: a size or codec change in mid-stream."""
    frame_ms = 40
    gap = first[-1].due_ms + frame_ms - second[0].due_ms
    return [*first, *(t for t in shifted(second, gap) if t.tag.kind != SCRIPT)]


def corrupt_payloads(script: Sequence[Timed], seed: int = 1, share: float = 0.05) -> Script:
    """Flip bytes inside some video payloads, behind the first NAL unit's own header."""
    chance = random.Random(seed)
    bent: Script = []
    for item in script:
        body = bytearray(item.tag.body)
        if item.tag.kind == VIDEO and not is_header(item.tag) and chance.random() < share:
            for _ in range(20):
                body[chance.randrange(12, len(body))] ^= chance.randrange(1, 256)
        bent.append(Timed(item.due_ms, replace(item.tag, body=bytes(body))))
    return bent


def broken_lengths(script: Sequence[Timed], every: int = 20) -> Script:
    """Some video payloads claim more bytes than they have."""
    bent: Script = []
    for number, item in enumerate(script):
        body = item.tag.body
        if item.tag.kind == VIDEO and not is_header(item.tag) and number % every == 0:
            body = body[:5] + b"\x7f\xff\xff\xff" + body[9:]
        bent.append(Timed(item.due_ms, replace(item.tag, body=body)))
    return bent


def empty_tags(script: Sequence[Timed], every: int = 10) -> Script:
    """Tags of size 0 and tags with a codec byte alone between the real ones."""
    bent: Script = []
    for number, item in enumerate(script):
        if number % every == 0:
            for kind, body in ((AUDIO, b""), (VIDEO, b""), (AUDIO, b"\xaf\x01")):
                bent.append(Timed(item.due_ms, Tag(kind, item.tag.timestamp, body)))
        bent.append(item)
    return bent


def same_dts(script: Sequence[Timed], every: int = 10) -> Script:
    """Some video tags repeat their predecessor's timestamp."""
    bent: Script = []
    previous: int | None = None
    for number, item in enumerate(script):
        if item.tag.kind == VIDEO and not is_header(item.tag):
            if previous is not None and number % every == 0:
                bent.append(_at(item, item.due_ms, previous))
                continue
            previous = item.tag.timestamp
        bent.append(item)
    return bent


def units(script: Sequence[Timed]) -> list[UnitDigest]:
    """Digest what a script publishes (H.264 and AAC), with the timestamps it carries."""
    found: list[UnitDigest] = []
    for item in script:
        tag = item.tag
        if is_header(tag) or len(tag.body) < (6 if tag.kind == VIDEO else 3):
            continue
        if tag.kind == AUDIO:
            found.append(digest("audio", tag.timestamp * 1000, True, tag.body[2:]))
        elif tag.kind == VIDEO:
            offset = int.from_bytes(tag.body[2:5], "big", signed=True)
            payload = normalise_video("h264", split_length_prefixed(tag.body[5:]))
            found.append(digest("video", (tag.timestamp + offset) * 1000, is_key(tag), payload))
    return found


class HttpFlv(HttpLive):
    """Serves scripts as HTTP-FLV: the first connection gets the first script, and so on.

    Args:
        scripts: one for each connection; the last serves all later ones.
        flags: the FLV header's flags: 1 video, 4 audio.
        pace: times real time; 0 sends at once.
        hold: after the script, stay connected and silent instead of ending the body.
        chunked: use chunked transfer coding.
    """

    content_type = "video/x-flv"
    path = "/live/stream.flv"

    def __init__(
        self,
        *scripts: Sequence[Timed],
        flags: int = 5,
        pace: float = 1.0,
        hold: bool = False,
        chunked: bool = True,
    ) -> None:
        super().__init__(chunked=chunked)
        self._scripts = scripts
        self._flags = flags
        self._pace = pace
        self._hold = hold

    def serve(self, reply: Reply, number: int) -> None:
        """Send one script at its own times."""
        script = self._scripts[min(number, len(self._scripts) - 1)]
        began = time.monotonic()
        reply.write(flv_file([], self._flags))
        for item in script:
            if self._pace > 0:
                wait = began + item.due_ms / 1000 / self._pace - time.monotonic()
                if wait > 0 and self.ending.wait(wait):
                    return
            reply.write(flv_file([item.tag])[13:])
        while self._hold and not self.ending.wait(0.1) and not reply.gone:
            pass
        reply.end()
