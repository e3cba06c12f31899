"""Translates between the words on the wire and the use cases, for every native door."""

from collections.abc import Sequence
from dataclasses import replace

from everreel import redact
from everreel.clock import MICROSECONDS, iso
from everreel.contract.replies import (
    AcquireReply,
    ErrorReply,
    FileReply,
    GapReply,
    LapReply,
    Links,
    ListReply,
    RecordingReply,
    RecordingSummary,
    SegmentPage,
    SegmentReply,
    StartReply,
    StopReply,
)
from everreel.contract.requests import OptionsBody, StartWish
from everreel.contract.wire import DEFAULT_APP, DEFAULT_RECORDER_UID
from everreel.lifecycle.requests import StartRequest
from everreel.lifecycle.use_cases import Snapshot
from everreel.lifecycle.vendor_words import vendor_reply, vendor_wish
from everreel.media import names
from everreel.media.index import Container, SegmentRow
from everreel.media.segment import Gap
from everreel.state.ports import Page, Ticket
from everreel.state.recording import (
    Failure,
    Lap,
    LapState,
    Mode,
    Options,
    ProviderName,
    Recording,
    Reliability,
    Subscribe,
)
from everreel.state.status import LIVE


def start_request(wish: StartWish) -> StartRequest:
    """Read a start as it came in; what was left out of app and recorder uid stays ""."""
    return StartRequest(
        app=wish.app or "",
        channel=wish.channel,
        uid=wish.uid,
        recorder_uid=wish.recorder_uid or "",
        source=wish.source or "",
        mode=Mode(wish.mode),
        options=_options(wish.options),
        backup_recorder_uid=wish.backup_recorder_uid or "",
        provider=ProviderName(wish.provider),
        vendor=vendor_wish(wish),
    )


def with_defaults(request: StartRequest) -> StartRequest:
    """Fill in what a ticket would have said, for a start without one."""
    return replace(
        request,
        app=request.app or DEFAULT_APP,
        recorder_uid=request.recorder_uid or DEFAULT_RECORDER_UID,
    )


def _options(body: OptionsBody) -> Options:
    return Options(
        segment_s=body.segment_seconds,
        max_idle_s=body.max_idle_seconds,
        max_duration_s=body.max_duration_seconds,
        container=Container(body.container),
        subscribe=Subscribe(body.subscribe),
        mp4=body.mp4,
        prefix=body.prefix,
        reliability=Reliability(body.reliability),
    )


def acquired(ticket: Ticket) -> AcquireReply:
    """Tell the caller about a ticket."""
    return AcquireReply(resource_id=ticket.resource_id, expires_at=iso(ticket.expires_utc_us))


def started(recording: Recording) -> StartReply:
    """Tell the caller what was started."""
    return StartReply(
        sid=recording.sid,
        resource_id=recording.resource_id,
        request_id=recording.request_id,
        status=recording.status.value,
        status_text=status_text(recording),
        links=links(recording.sid),
    )


def stopping(recording: Recording) -> StopReply:
    """Tell the caller that the stop was heard."""
    return StopReply(
        sid=recording.sid,
        status=recording.status.value,
        status_text=status_text(recording),
        links=links(recording.sid),
    )


def listed(page: Page) -> ListReply:
    """Tell the caller about a page of recordings."""
    return ListReply(
        recordings=[_summary(recording) for recording in page.recordings],
        next_token=page.next_token or None,
    )


def described(snapshot: Snapshot, segments: SegmentPage | None, bucket: str) -> RecordingReply:
    """Tell the caller everything about a recording."""
    recording = snapshot.recording
    live = recording.status in LIVE
    laps = snapshot.laps
    recorded_us = sum(lap.progress.recorded_us for lap in laps)
    stored_us = max((lap.progress.media_us for lap in laps), default=0)
    received_us = max([stored_us, *(lap.progress.received_us for lap in laps)])
    end_us = received_us
    if live and recording.origin_utc_us:
        end_us = max(end_us, snapshot.taken_utc_us - recording.origin_utc_us)
    newest = laps[-1].progress if laps else None
    return RecordingReply(
        **_summary(recording).model_dump(),
        resource_id=recording.resource_id,
        request_id=recording.request_id,
        mode=snapshot.vendor.task.order.layout.value if snapshot.vendor else recording.mode.value,
        source=redact.url(recording.source),
        error=_error(recording.failure),
        origin_at=_instant(recording.origin_utc_us),
        stop_requested_at=_instant(recording.stop_requested_utc_us),
        sealed_at=_instant(recording.sealed_utc_us),
        segments=sum(lap.progress.segments for lap in laps),
        bytes=sum(lap.progress.bytes for lap in laps),
        recorded_seconds=_seconds(recorded_us),
        received_seconds=_seconds(received_us),
        gap_seconds=_seconds(max(0, stored_us - recorded_us)),
        idle_seconds=_seconds(newest.idle_us) if newest and live else 0.0,
        elapsed_seconds=_seconds(end_us),
        coverage=min(1.0, round(recorded_us / end_us, 4)) if end_us else None,
        note=newest.note if newest and live else "",
        laps=[_lap(lap, snapshot.taken_utc_us) for lap in laps],
        vendor=vendor_reply(snapshot.vendor),
        files=_files(snapshot, bucket),
        segment_page=segments,
        links=links(recording.sid),
    )


def segment_page(recording: Recording, rows: Sequence[SegmentRow], limit: int) -> SegmentPage:
    """Tell the caller about some segments, asked for with `limit`."""
    folder = _folder(recording)
    return SegmentPage(
        items=[
            SegmentReply(
                k=row.k,
                key=folder.key(row.key),
                start_seconds=_seconds(row.start_us),
                duration_seconds=_seconds(row.duration_us),
                start_time=iso(row.utc_us),
                bytes=row.size,
                sha256=row.sha256,
                init=row.init,
                discontinuity=row.discontinuity,
                gap=_gap(row.gap),
                lane=row.lane,
                lap=row.lap,
            )
            for row in rows
        ],
        next_after=rows[-1].k if len(rows) == limit else None,
    )


def status_text(recording: Recording) -> str:
    """Name a status as callers read it."""
    return recording.status.name.lower()


def links(sid: str) -> Links:
    """Say where to go on."""
    return Links(self=f"/v1/recordings/{sid}", stop=f"/v1/recordings/{sid}/stop")


def _summary(recording: Recording) -> RecordingSummary:
    return RecordingSummary(
        sid=recording.sid,
        app=recording.app,
        channel=recording.channel,
        uid=recording.uid,
        recorder_uid=recording.recorder_uid,
        provider=recording.provider.value,
        status=recording.status.value,
        status_text=status_text(recording),
        reason=recording.reason and recording.reason.value,
        created_at=iso(recording.created_utc_us),
        ended_at=_instant(recording.ended_utc_us),
    )


def _lap(lap: Lap, now_us: int) -> LapReply:
    beats = lap.state is LapState.RUNNING
    return LapReply(
        lane=lap.lane,
        lap=lap.lap,
        why=lap.origin.why,
        follows=lap.origin.follows or None,
        invoked_at=iso(lap.invoked_utc_us),
        ended_at=_instant(lap.ended_utc_us),
        state=lap.state.value,
        request_id=lap.request_id,
        beat_age_seconds=_seconds(max(0, now_us - lap.beat_utc_us)) if beats else None,
        segments=lap.progress.segments,
        reconnects=lap.progress.reconnects,
        note=lap.progress.note,
        reason=lap.reason and lap.reason.value,
        error=_error(lap.failure),
    )


def _files(snapshot: Snapshot, bucket: str) -> list[FileReply]:
    """List the objects besides segments: those that are there and those that seal will write."""
    recording = snapshot.recording
    folder = _folder(recording)
    if not any(lap.progress.segments for lap in snapshot.laps):
        return []
    sealed = recording.sealed_utc_us != 0
    # Seal makes these if it can; the manifest lists those that it made.
    courtesy = None if sealed else False
    found: list[tuple[str, str, bool | None]] = [
        ("live", names.LIVE, True),
        ("index", names.INDEX, True),
        ("manifest", names.MANIFEST, sealed),
        ("poster", names.POSTER, courtesy),
    ]
    if recording.options.container is Container.FMP4:
        found.append(("mpd", names.MPD, sealed))
    if recording.options.mp4:
        found.append(("mp4", names.MP4, courtesy))
    for init in snapshot.inits:
        found += [
            ("init" if kind == "all" else f"init-{kind}", name, True)
            for kind, name in init.keys.items()
        ]
    return [
        FileReply(name=name, kind=kind, bucket=bucket, key=folder.key(name), ready=ready)
        for kind, name, ready in found
    ]


def _folder(recording: Recording) -> names.Folder:
    return names.Folder(recording.options.prefix, recording.channel, recording.sid)


def _error(failure: Failure | None) -> ErrorReply | None:
    if failure is None:
        return None
    return ErrorReply(
        code=failure.code, blame=failure.blame, message=failure.message, field=failure.field
    )


def _gap(gap: Gap | None) -> GapReply | None:
    if gap is None:
        return None
    return GapReply(
        cause=gap.cause.value,
        start_seconds=_seconds(gap.start_us),
        duration_seconds=_seconds(gap.duration_us),
    )


def _instant(utc_us: int) -> str | None:
    return iso(utc_us) if utc_us else None


def _seconds(us: int) -> float:
    return round(us / MICROSECONDS, 3)
