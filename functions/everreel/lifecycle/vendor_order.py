"""From a start request to what a vendor is told: checked at the door, so that no look stumbles.

Source: Agora's reference of acquire and start (uid, recordingConfig, storageConfig) and of the
cloud transcoder (services.cloudTranscoder.config.transcoder).
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from everreel.errors import InvalidRequest
from everreel.lifecycle.requests import StartRequest, VendorWish
from everreel.state.recording import ProviderName
from everreel.state.vendor import Layout, VendorOrder

LARGEST_UID = 2**32 - 1
EVERYBODY = "0"
LONGEST_TRANSCODER_IDLE_S = 86_400
DEEPEST = 32
"""Levels of a request; the vendor's own reference needs nine."""

TRANSCODER = ("services", "cloudTranscoder", "config", "transcoder")
SUBSCRIPTIONS = ("subscribeAudioUids", "subscribeVideoUids")


def check_ours(request: StartRequest) -> None:
    """Refuse what only a vendor can make use of. Raises: InvalidRequest."""
    if request.vendor is not None:
        raise InvalidRequest(
            "only a vendor can make use of it: name one in `provider` (agora or "
            "agora-transcoder), or leave this out",
            field="vendor",
        )


def order_of(request: StartRequest, channel: str, recorder_uid: str) -> VendorOrder:
    """Make the order of a request to a vendor. Raises: InvalidRequest."""
    wish = request.vendor
    if wish is None:
        raise InvalidRequest(
            f"a recording at {request.provider.value} needs `vendor` with at least its appId",
            field="vendor",
        )
    if request.source:
        raise InvalidRequest(
            "a vendor joins the channel by itself: leave `source` out", field="source"
        )
    for name in wish.foreign_options:
        raise InvalidRequest(
            "this is for everreel's own recorder: leave it out and tell the vendor in "
            "`vendor.request`",
            field=f"options.{name}",
        )
    _check_sendable(wish.request)
    uids = _uids(request, recorder_uid)
    records = request.provider is ProviderName.AGORA
    made = _recording(request, wish, uids) if records else _transcoding(wish)
    given = {uids[0]: wish.token, uids[1]: wish.backup_token}
    return VendorOrder(
        app=wish.app,
        channel=channel,
        uids=uids,
        layout=wish.layout,
        max_idle_s=wish.max_idle_s,
        request=made,
        tokens={uid: token for uid, token in given.items() if token},
        restarts=wish.restarts,
    )


def _check_sendable(made: Mapping[str, Any]) -> None:
    """Refuse what is nested too deep to be walked through, or has numbers that JSON has not."""
    level: list[object] = [made]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if any(isinstance(each, float) and not isfinite(each) for each in level):
            raise InvalidRequest("NaN and Infinity are no JSON", field="vendor.request")
    if level:
        raise InvalidRequest(
            f"it must not be nested deeper than {DEEPEST} levels", field="vendor.request"
        )


def _uids(request: StartRequest, recorder_uid: str) -> tuple[str, str]:
    for field, uid in (
        ("recorder_uid", recorder_uid),
        ("backup_recorder_uid", request.backup_recorder_uid),
    ):
        if not _is_uid(uid):
            raise InvalidRequest(
                "a vendor's recorder joins under a number from 1 to 4294967295 that nobody else "
                "in the channel has",
                field=field,
            )
    if recorder_uid == request.backup_recorder_uid:
        raise InvalidRequest(
            "it must be another number than recorderUid: the two take turns, so that a second "
            "recorder never throws the first one out",
            field="backup_recorder_uid",
        )
    return recorder_uid, request.backup_recorder_uid


def _is_uid(text: str) -> bool:
    plain = text.isascii() and text.isdecimal() and not text.startswith("0") and len(text) <= 10
    return plain and int(text) <= LARGEST_UID


def _recording(request: StartRequest, wish: VendorWish, uids: tuple[str, str]) -> Mapping[str, Any]:
    """Check a cloud recording's `clientRequest`; with a uid to record, subscribe to that alone."""
    made = wish.request
    if "clientRequest" in made:
        raise InvalidRequest(
            "`vendor.request` is the vendor's clientRequest itself: give what is in it",
            field="vendor.request.clientRequest",
        )
    config = _object(made, "recordingConfig")
    storage = _object(made, "storageConfig")
    prefix = storage.get("fileNamePrefix", [])
    if not isinstance(prefix, list) or not all(isinstance(part, str) for part in prefix):
        raise InvalidRequest(
            "it must be a list of names", field="vendor.request.storageConfig.fileNamePrefix"
        )
    if request.uid == EVERYBODY:
        return made
    if not _is_uid(request.uid) or request.uid in uids:
        raise InvalidRequest(
            'it must be "0" for everybody in the channel, or the number of one publisher',
            field="uid",
        )
    own: dict[str, Any] = {name: [request.uid] for name in SUBSCRIPTIONS}
    if wish.layout is Layout.INDIVIDUAL:
        own["subscribeUidGroup"] = 0
    if any("subscribe" in name.lower() for name in config):
        own = {}
    return {**made, "recordingConfig": {**own, **config}}


def _transcoding(wish: VendorWish) -> Mapping[str, Any]:
    """Check a transcoder's body as far as it is read."""
    if wish.layout is not Layout.MIX:
        raise InvalidRequest("a transcoder mixes: leave it out", field="vendor.layout")
    if wish.max_idle_s > LONGEST_TRANSCODER_IDLE_S:
        raise InvalidRequest(
            f"a transcoder waits {LONGEST_TRANSCODER_IDLE_S} s at most",
            field="options.max_idle_seconds",
        )
    inner: Mapping[str, Any] = wish.request
    place = "vendor.request"
    for name in TRANSCODER:
        inner, place = _object(inner, name, place), f"{place}.{name}"
    outputs = inner.get("outputs")
    usable = isinstance(outputs, list) and all(isinstance(each, dict) for each in outputs)
    if not outputs or not usable:
        raise InvalidRequest(
            "it must be a list of at least one object with `rtc` or `streamUrl`",
            field=f"{place}.outputs",
        )
    for each in outputs:
        _object(each, "rtc", f"{place}.outputs")
    return wish.request


def _object(value: Mapping[str, Any], name: str, place: str = "vendor.request") -> dict[str, Any]:
    part = value.get(name, {})
    if not isinstance(part, dict):
        raise InvalidRequest("it must be a JSON object", field=f"{place}.{name}")
    return part
