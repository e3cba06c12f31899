"""`everreel record`: makes a recording on this machine, without a cloud."""

import argparse
import contextlib
import signal
import sys
import threading

from everreel.clock import SystemClock
from everreel.events.memory import MemoryBus
from everreel.events.ports import Event, Happening
from everreel.ids import new_resource_id, new_sid
from everreel.media.index import Container
from everreel.protocols.guard import Guard
from everreel.protocols.open import open_source
from everreel.recorder.lap import run_lap
from everreel.recorder.orders import LapSettings
from everreel.state.memory import MemoryRecordings
from everreel.state.ports import Ticket
from everreel.state.recording import NORMAL_REASONS, LapOrder, Mode, Options, Recording, Subscribe
from everreel.state.status import Status
from everreel.store.disk import DiskStore

FOREVER_S = 10 * 365 * 86_400.0


class _Printer(MemoryBus):
    """Shows segments as they are committed."""

    def publish(self, *events: Event) -> None:
        for event in events:
            if event.kind is Happening.SEGMENT:
                print(
                    f"  {event.detail['key']}  {event.detail['durationSeconds']:.2f} s", flush=True
                )


def record(arguments: argparse.Namespace) -> int:
    """Record until the source, a limit or a signal ends it; return the exit status."""
    clock = SystemClock()
    recordings = MemoryRecordings()
    store = DiskStore(arguments.out)
    guard = Guard(allow_private=True)  # whoever runs a command may reach what the machine reaches
    recording = _new_recording(arguments, clock.utc_us(), recordings)
    order = LapOrder(recording.sid, "a", 1)
    recordings.invoked(recording.sid, order.lane, order.lap, "cli", clock.utc_us())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _stop(recordings, recording.sid, clock.utc_us()))
    outcome = run_lap(
        order,
        open_source=lambda url, cancel: open_source(url, guard, cancel=cancel),
        store=store,
        recordings=recordings,
        bus=_Printer(),
        clock=clock,
        settings=LapSettings(beat_s=0.75),
        deadline_s=clock.monotonic() + FOREVER_S,
        request_id="cli",
    )
    if outcome.progress.segments:
        _seal(recording, recordings, store, clock, with_poster=not arguments.no_poster)
    progress = outcome.progress
    print(f"{progress.segments} segments, {progress.media_us / 1e6:.1f} s: {outcome.reason.value}")
    if outcome.failure is not None:
        print(f"everreel: {outcome.failure.code}: {outcome.failure.message}", file=sys.stderr)
    return 0 if outcome.reason in NORMAL_REASONS else 1


def _seal(
    recording: Recording,
    recordings: MemoryRecordings,
    store: DiskStore,
    clock: SystemClock,
    *,
    with_poster: bool,
) -> None:
    """Finish the playlists and make the manifest, the MP4 and, where PyAV is there, the poster."""
    from everreel.sealing.seal import Poster, seal

    picture: Poster | None = None
    if with_poster:
        with contextlib.suppress(ImportError):  # PyAV is optional here
            from everreel.codecs.poster import poster as picture
    seal(
        recording.sid,
        recordings=recordings,
        store=store,
        bus=MemoryBus(),
        clock=clock,
        poster=picture,
    )


def _stop(recordings: MemoryRecordings, sid: str, utc_us: int) -> None:
    """Ask for a stop from a signal handler, which must not wait for a lock the main thread has."""
    threading.Thread(target=recordings.request_stop, args=(sid, utc_us), daemon=True).start()


def _new_recording(
    arguments: argparse.Namespace, now_us: int, recordings: MemoryRecordings
) -> Recording:
    resource_id = new_resource_id()
    recordings.put_ticket(Ticket(resource_id, "cli", arguments.channel, "1", now_us + 300_000_000))
    return recordings.create(
        Recording(
            sid=new_sid(),
            app="cli",
            channel=arguments.channel,
            uid="1",
            recorder_uid="1",
            resource_id=resource_id,
            source=arguments.source,
            mode=Mode.INDIVIDUAL,
            options=Options(
                segment_s=arguments.segment,
                max_idle_s=arguments.idle,
                max_duration_s=arguments.duration,
                container=Container(arguments.container),
                subscribe=Subscribe(arguments.subscribe),
                mp4=not arguments.no_mp4,
            ),
            status=Status.STARTING,
            created_utc_us=now_us,
        )
    )
