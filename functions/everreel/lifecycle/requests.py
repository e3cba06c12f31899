"""A start request after the door has checked and translated it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from everreel.state.recording import Mode, Options, ProviderName
from everreel.state.vendor import Layout


@dataclass(frozen=True, slots=True)
class VendorWish:
    """What a vendor is to be told, as the caller wrote it; may hold credentials.

    Attributes:
        app: the application's id at the vendor.
        token, backup_token: with which the two uids may join; "" if none is needed.
        request: the vendor's own start request.
        restarts: how often a lost task is started anew.
        max_idle_s: as the caller wrote it, 0 for the vendor's default.
        foreign_options: options that were given and that no vendor knows.
    """

    app: str
    layout: Layout
    token: str = field(repr=False)
    backup_token: str = field(repr=False)
    request: Mapping[str, Any] = field(repr=False)
    restarts: int
    max_idle_s: int
    foreign_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StartRequest:
    """Everything a start needs, whichever door it came through.

    Attributes:
        app: the caller's application; "" takes the ticket's.
        channel, uid: what to record.
        recorder_uid: under which identity we join; "" takes the ticket's.
        source: URL, or "" to use the deployment's template for (channel, uid).
        backup_recorder_uid: for laps after three that failed, or a vendor; "" keeps the one.
        provider: who records.
        vendor: what a vendor is to be told.
    """

    app: str
    channel: str
    uid: str
    recorder_uid: str
    source: str
    mode: Mode
    options: Options
    backup_recorder_uid: str = ""
    provider: ProviderName = ProviderName.EVERREEL
    vendor: VendorWish | None = None
