"""A start request after the door has checked and translated it."""

from dataclasses import dataclass

from everreel.state.recording import Mode, Options


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Everything a start needs, whichever door it came through.

    Attributes:
        app: the caller's application; "" takes the ticket's.
        channel, uid: what to record.
        recorder_uid: under which identity we join; "" takes the ticket's.
        source: URL, or "" to use the deployment's template for (channel, uid).
        backup_recorder_uid: for laps after three that failed; "" keeps the one.
    """

    app: str
    channel: str
    uid: str
    recorder_uid: str
    source: str
    mode: Mode
    options: Options
    backup_recorder_uid: str = ""
