"""Sends a clip in real time by stream copy, round after round, with exact timestamps.

Run as a program by `tests.lab.publisher`; FFmpeg's own `-stream_loop` drops and shifts packets
where rounds meet, which a test of lost units cannot have. SIGTERM ends it politely (the server
sees the end of the stream), SIGKILL like a crash, SIGSTOP like a frozen encoder, SIGUSR1 moves its
clock ahead.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from types import FrameType
from typing import Any

import av

_MICRO = Fraction(1, 1_000_000)


@dataclass(slots=True)
class Sample:
    """One packet of the clip, in the ticks of its stream."""

    stream: int
    pts: int
    dts: int
    duration: int
    time_base: Fraction
    keyframe: bool
    data: bytes


class Ended(Exception):
    """Raised by SIGTERM inside the sending loop."""


def read(clip: str, media: str) -> tuple[Any, list[Sample], list[int]]:
    """Load a clip into memory; returns the open reader, its packets and the wanted streams."""
    reader = av.open(clip)
    wanted = [s.index for s in reader.streams if media in {"both", s.type}]
    samples = [
        Sample(
            stream=p.stream.index,
            pts=p.pts,
            dts=p.dts,
            duration=p.duration or 0,
            time_base=Fraction(p.time_base.numerator, p.time_base.denominator),
            keyframe=p.is_keyframe,
            data=bytes(p),
        )
        for p in reader.demux([reader.streams[i] for i in wanted])
        if p.size and p.pts is not None and p.dts is not None
    ]
    samples.sort(key=lambda s: s.dts * s.time_base)
    return reader, samples, wanted


def send(args: argparse.Namespace) -> None:
    """Open the target and send until the rounds are over."""
    reader, samples, wanted = read(args.clip, args.media)
    options = dict(pair.split("=", 1) for pair in args.option)
    writer = av.open(args.target, "w", format=args.format, options=options)
    outputs = {i: writer.add_stream_from_template(reader.streams[i]) for i in wanted}
    writer.start_encoding()  # the handshake with the server; media time starts after it
    began = time.monotonic()
    print(json.dumps({"first_unit_utc_us": time.time_ns() // 1000}), flush=True)
    base = Fraction(args.base_us) * _MICRO
    length = Fraction(args.round_us) * _MICRO
    leapt = [Fraction(0)]
    signal.signal(signal.SIGUSR1, lambda *_: leapt.append(leapt[-1] + args.leap_s))
    turn = 0
    try:
        while args.rounds == 0 or turn < args.rounds:
            for sample in samples:
                due = float(turn * length + sample.dts * sample.time_base)
                if args.pace > 0:
                    delay = began + due / args.pace - time.monotonic()
                    if delay > 0:
                        time.sleep(delay)
                shift = round((base + leapt[-1] + turn * length) / sample.time_base)
                packet = av.Packet(sample.data)
                packet.stream = outputs[sample.stream]
                packet.time_base = sample.time_base
                packet.pts, packet.dts = sample.pts + shift, sample.dts + shift
                packet.duration = sample.duration
                packet.is_keyframe = sample.keyframe
                writer.mux(packet)
            turn += 1
    except Ended:
        print(json.dumps({"ended": "asked to"}), flush=True)
    else:
        print(json.dumps({"ended": "sent all"}), flush=True)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        writer.close()
        reader.close()


def main(argv: list[str]) -> int:
    """Read the command line and send."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip")
    parser.add_argument("target")
    parser.add_argument("--format", required=True)
    parser.add_argument("--round-us", type=int, required=True, help="length of one round")
    parser.add_argument("--rounds", type=int, default=0, help="0 sends until ended")
    parser.add_argument("--base-us", type=int, default=1_000_000, help="time of the first round")
    parser.add_argument("--pace", type=float, default=1.0, help="times real time; 0 is unpaced")
    parser.add_argument("--media", choices=["both", "audio", "video"], default="both")
    parser.add_argument("--leap-s", type=int, default=0, help="how far SIGUSR1 moves the clock")
    parser.add_argument("--option", action="append", default=[], help="muxer option, key=value")
    args = parser.parse_args(argv)

    def ended(_number: int, _frame: FrameType | None) -> None:
        raise Ended

    signal.signal(signal.SIGTERM, ended)
    try:
        send(args)
    except Ended:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
