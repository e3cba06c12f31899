"""A start request after the door has checked and translated it."""

from dataclasses import dataclass

from everreel.state.recording import Mode, Options


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Everything a start needs, whichever door it came through.

    Attributes:
        app: the caller's application; recordings of different apps never collide.
        channel, uid: what to record.
        recorder_uid: under which identity we join.
        source: URL, or "" to use the deployment's template for (channel, uid).
    """

    app: str
    channel: str
    uid: str
    recorder_uid: str
    source: str
    mode: Mode
    options: Options
