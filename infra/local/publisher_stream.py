"""Makes the demo's stream out of nothing: pictures and sound, encoded, digested, as FLV tags."""

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from everreel.media.bitstream import h264
from everreel.media.bitstream.nal import join_length_prefixed, split_annexb
from infra.local import publisher_flv as flv
from infra.local.publisher_picture import FLASH_US, HEIGHT, WIDTH, Picture

FPS = 25
FRAME_US = 1_000_000 // FPS
GOP_SECONDS = 2
SAMPLE_RATE = 48_000
AAC_SAMPLES = 1024

_BEEP_HZ, _BEEP_LEVEL = 1000, 0.5
_BEEP_SAMPLES = FLASH_US * SAMPLE_RATE // 1_000_000
# Two soft tones that never repeat together: no two audio frames are equal, so none can be mistaken.
_HUM = ((146.83, 0.020), (220.37, 0.014))
# Types of NAL units that carry no picture; containers keep them elsewhere or not at all.
_NOT_PICTURE = frozenset({7, 8, 9, 12})


@dataclass(frozen=True, slots=True)
class PublishedUnit:
    """One access unit that was sent.

    Attributes:
        medium: "video" or "audio".
        pts_ms: as its FLV tag said.
        keyframe: decoding can start here.
        sha: first 16 hex digits of the SHA-256 of its payload: NAL units with 4-byte lengths and
            without parameter sets, delimiters and filler, or a raw AAC frame.
    """

    medium: str
    pts_ms: int
    keyframe: bool
    sha: str


def short_digest(payload: bytes) -> str:
    """Digest a payload as `PublishedUnit.sha` does."""
    return hashlib.sha256(payload).hexdigest()[:16]


def picture_nals(nals: list[bytes]) -> list[bytes]:
    """Leave out the NAL units that carry no picture."""
    return [nal for nal in nals if nal[0] & 31 not in _NOT_PICTURE]


class DemoStream:
    """Encodes frame after frame; knows no time of its own.

    Attributes:
        heads: the tags that every subscriber needs first.
        units: everything that was sent, in order.
        frames: pictures encoded so far.
    """

    def __init__(self, origin_utc_us: int) -> None:
        """Begin at an instant, brought down to a whole frame of its second."""
        self.origin_utc_us = origin_utc_us // FRAME_US * FRAME_US
        self.units: list[PublishedUnit] = []
        self.frames = 0
        self._picture = Picture(FPS)
        self._video = _video_encoder()
        self._audio = _audio_encoder()
        self._samples = 0
        self._sound: deque[tuple[int, bytes]] = deque()
        self._heard_ms = 0
        self.heads = self._make_heads()

    def next_frame(self) -> Iterator[flv.Tag]:
        """Encode the next picture and the sound up to it; yields tags in order of their times."""
        stamp_ms = self.frames * FRAME_US // 1000
        while self._heard_ms <= stamp_ms:
            self._encode_sound()
        while self._sound and self._sound[0][0] < stamp_ms:
            yield self._sound_tag(*self._sound.popleft())
        utc_us = self.origin_utc_us + self.frames * FRAME_US
        picture = av.VideoFrame.from_ndarray(self._picture.draw(self.frames, utc_us), "yuv420p")
        picture.pts = self.frames
        self.frames += 1
        for packet in self._video.encode(picture):
            yield self._picture_tag(packet)

    # ------------------------------------------------------------------ sound

    def _encode_sound(self) -> None:
        frame = av.AudioFrame.from_ndarray(self._wave(), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._samples
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._samples += AAC_SAMPLES
        for packet in self._audio.encode(frame):
            # What the encoder needs to get going lies before the beginning.
            if packet.pts is not None and packet.pts >= 0:
                self._heard_ms = round(packet.pts * 1000 / SAMPLE_RATE)
                self._sound.append((self._heard_ms, bytes(packet)))

    def _wave(self) -> NDArray[np.float32]:
        """Compute the next samples: a beep at the start of each UTC second over a soft hum."""
        at = np.arange(self._samples, self._samples + AAC_SAMPLES, dtype=np.float64)
        sound = np.zeros(AAC_SAMPLES)
        for hertz, level in _HUM:
            sound += level * np.sin(2 * np.pi * hertz / SAMPLE_RATE * at)
        within = (at + self.origin_utc_us * SAMPLE_RATE // 1_000_000) % SAMPLE_RATE
        beep = _BEEP_LEVEL * np.sin(2 * np.pi * _BEEP_HZ / SAMPLE_RATE * within)
        sound += np.where(within < _BEEP_SAMPLES, beep, 0.0)
        return np.ascontiguousarray(np.tile(sound, (2, 1)), dtype=np.float32)

    def _sound_tag(self, stamp_ms: int, data: bytes) -> flv.Tag:
        self.units.append(PublishedUnit("audio", stamp_ms, True, short_digest(data)))
        return flv.audio(stamp_ms, data)

    # ------------------------------------------------------------------ pictures

    def _picture_tag(self, packet: "av.Packet[av.VideoStream]") -> flv.Tag:
        if packet.pts is None or packet.dts is None:
            raise ValueError("the encoder gave a picture without a time")
        pts_ms, dts_ms = (value * FRAME_US // 1000 for value in (packet.pts, packet.dts))
        data = join_length_prefixed(picture_nals(split_annexb(bytes(packet))))
        keyframe = packet.is_keyframe
        self.units.append(PublishedUnit("video", pts_ms, keyframe, short_digest(data)))
        return flv.video(dts_ms, pts_ms, data, keyframe=keyframe)

    def _make_heads(self) -> tuple[flv.Tag, ...]:
        nals = split_annexb(self._video.extradata or b"")
        sets = [[nal for nal in nals if nal[0] & 31 == kind] for kind in (h264.SPS, h264.PPS)]
        return (
            flv.metadata(WIDTH, HEIGHT, FPS, SAMPLE_RATE),
            flv.video_config(h264.avcc(*sets)),
            flv.audio_config(self._audio.extradata or b""),
        )


def _video_encoder() -> av.VideoCodecContext:
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    # One thread and no look-ahead: each picture comes out at once, and two cores have other work.
    gop = GOP_SECONDS * FPS
    encoder.options = {
        "preset": "superfast",
        "tune": "zerolatency",
        "crf": "21",
        "threads": "1",
        "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0",
    }
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.open()
    return encoder


def _audio_encoder() -> av.AudioCodecContext:
    encoder = av.AudioCodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = SAMPLE_RATE, "stereo", "fltp"
    encoder.time_base, encoder.bit_rate = Fraction(1, SAMPLE_RATE), 96_000
    encoder.flags |= av.codec.context.Flags.global_header
    encoder.open()
    return encoder
