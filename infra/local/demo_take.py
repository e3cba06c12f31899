"""One recording of the demo: asked for, watched, stopped and sealed, all through the HTTP API."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from infra.local.demo_api import RecordingApi
from infra.local.demo_screen import Screen, bar, clock, size

CHANNEL = "demo"
READY, IN_PROGRESS, ABNORMAL = 4, 5, 20

_IDLE_SECONDS = 15
"""How long the recorder waits for a stream that is not there: a wrong address is told soon."""
_SPARE_SECONDS = 60
"""The recorder stops by itself so much later than asked, should the demo be gone by then."""
_START_PATIENCE_S = 60.0
_SEAL_PATIENCE_S = 120.0
_POLL_S, _EAGER_POLL_S = 0.5, 0.2


class TakeFailedError(Exception):
    """The recording did not come to a good end; the message says why."""


@dataclass(slots=True)
class Take:
    """What is known of the recording.

    Attributes:
        sid: its id.
        timings: what happened when. Units: seconds from the call that started it.
        state: the newest answer of the API.
        segments: stored so far, as the API lists them.
    """

    sid: str
    began_s: float
    timings: dict[str, float] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    segments: list[dict[str, Any]] = field(default_factory=list)

    def passed(self, what: str) -> None:
        """Note the first time that something happened."""
        self.timings.setdefault(what, round(time.monotonic() - self.began_s, 3))

    @property
    def status(self) -> int:
        """Status number; 0 before the first answer."""
        return int(self.state.get("status", 0))

    @property
    def status_text(self) -> str:
        """The status in words."""
        return str(self.state.get("statusText", "")).replace("_", " ")

    @property
    def stored(self) -> str:
        """What is stored, in words."""
        count = len(self.segments)
        seconds = sum(each["durationSeconds"] for each in self.segments)
        stored = size(sum(each["bytes"] for each in self.segments))
        return f"{count} {'segment' if count == 1 else 'segments'} · {seconds:.1f} s · {stored}"

    @property
    def laps(self) -> list[str]:
        """The laps that stored segments, each once, in the order of their first ones."""
        return list(dict.fromkeys(f"{each['lane']}{each['lap']}" for each in self.segments))

    @property
    def ending(self) -> bool:
        """Whether it stops or has stopped recording, by itself or because somebody said so."""
        return self.status > IN_PROGRESS

    def folder(self) -> tuple[str, str] | None:
        """Bucket and key prefix of its objects; None if nothing was stored."""
        for each in self.state.get("files", ()):
            if each["kind"] == "live":
                return each["bucket"], each["key"].removesuffix(each["name"])
        return None


class Director:
    """Takes a recording of a source."""

    def __init__(
        self,
        api: RecordingApi,
        screen: Screen,
        *,
        on_playable: Callable[[Take], None],
        healthy: Callable[[], None],
    ) -> None:
        """Record through `api`.

        Args:
            api: of the deployed stack.
            screen: where progress is shown.
            on_playable: called once there is something to play and it is known where.
            healthy: called between polls; raises if something else that is needed has failed.
        """
        self._api = api
        self._screen = screen
        self._on_playable = on_playable
        self._healthy = healthy
        self._note = ""
        self._shown = False

    def begin(self, source: str, seconds: float) -> tuple[Take, dict[str, Any]]:
        """Ask for a recording; gives it and the API's answer."""
        resource_id = self._api.acquire(CHANNEL)
        wish = {
            "resourceId": resource_id,
            "channel": CHANNEL,
            "uid": "camera",
            "source": source,
            "options": {
                "maxIdleSeconds": _IDLE_SECONDS,
                "maxDurationSeconds": round(seconds) + _SPARE_SECONDS,
            },
        }
        began_s = time.monotonic()
        answer = self._api.start(wish)
        take = Take(answer["sid"], began_s)
        take.passed("accepted")
        return take, answer

    def record(self, take: Take, seconds: float) -> None:
        """Watch until `seconds` are recorded, or the recording ends by itself.

        Raises:
            TakeFailedError: nothing is being recorded.
        """
        first_s: float | None = None
        while True:
            self._poll(take)
            now_s = time.monotonic()
            if take.ending:
                return
            if take.status >= READY and first_s is None:
                first_s = now_s
            if first_s is None and now_s - take.began_s > _START_PATIENCE_S:
                note = take.state.get("note") or "no reason given"
                raise TakeFailedError(f"nothing was received: {note}")
            if first_s is not None and now_s - first_s >= seconds:
                return
            self._show(take, 0.0 if first_s is None else now_s - first_s, seconds)
            left_s = seconds if first_s is None else first_s + seconds - now_s
            time.sleep(min(_POLL_S if take.segments else _EAGER_POLL_S, max(left_s, 0.01)))

    def finish(self, take: Take) -> None:
        """Stop it unless it has ended, and wait until it is sealed.

        Raises:
            TakeFailedError: it was not sealed in time.
        """
        if not take.ending:
            self._api.stop(take.sid)
        deadline_s = time.monotonic() + _SEAL_PATIENCE_S
        while not take.state.get("sealedAt"):
            if time.monotonic() > deadline_s:
                raise TakeFailedError(
                    f"not sealed {_SEAL_PATIENCE_S:.0f} s after the stop; its status is "
                    f"{take.status} ({take.status_text})"
                )
            self._screen.moving(f"    {'stop':<12} {take.status_text} ...")
            time.sleep(_EAGER_POLL_S)
            self._poll(take)

    def _poll(self, take: Take) -> None:
        self._healthy()
        after = take.segments[-1]["k"] if take.segments else -1
        take.state = self._api.describe(take.sid, after=after)
        if take.state["note"] not in {self._note, ""}:
            self._note = take.state["note"]
            self._screen.note("recorder", self._note)
        if take.status >= READY and take.status != ABNORMAL:
            take.passed("firstKeyframe")
        for segment in take.state["segmentPage"]["items"]:
            if not take.segments:
                take.passed("firstSegment")
            take.segments.append(segment)
            if not self._screen.terminal:
                self._tell(take, segment)
        # The list of files follows the first segment with the lap's next beat.
        if not self._shown and take.segments and take.folder() is not None:
            self._shown = True
            self._on_playable(take)

    def _tell(self, take: Take, segment: dict[str, Any]) -> None:
        """Write a segment down, where no line can move."""
        at = clock(time.monotonic() - take.began_s)
        self._screen.line(
            f"    {at}  segment {segment['k']:>3}  {segment['durationSeconds']:.2f} s"
            f"  {size(segment['bytes']):>7}  {segment['sha256'][:12]}"
            f"  lap {segment['lane']}{segment['lap']}"
        )

    def _show(self, take: Take, elapsed_s: float, seconds: float) -> None:
        """Show how it goes in one line that moves."""
        words = [take.status_text]
        if take.segments:
            words += [take.stored, f"last #{take.segments[-1]['k']} by lap {take.laps[-1]}"]
        head = f"  {clock(elapsed_s)} {bar(elapsed_s / seconds)} {clock(seconds)}"
        self._screen.moving(f"{head}  {' · '.join(words)}")


def why_not(take: Take) -> str:
    """Say in a sentence why a recording is not a good one; empty if it is."""
    error = take.state.get("error")
    if error:
        return f"{error['message']} ({error['code']}, blame: {error['blame']})"
    if take.status == ABNORMAL:
        return f"the recording ended abnormally ({take.state.get('reason')})"
    if not take.segments:
        return f"nothing was recorded ({take.state.get('reason')}): {take.state.get('note') or ''}"
    return ""
