"""Agora's cloud recording and cloud transcoder as providers."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from everreel.clock import Clock, SystemClock
from everreel.state.vendor import Call, Layout, VendorOrder, VendorWatch
from everreel.supervisor.practices import CLOUD_RECORDING, CLOUD_TRANSCODER, Practices
from everreel.supervisor.provider import Answer
from everreel.supervisor.vendor import uid_of
from everreel.vendors import agora_words as words
from everreel.vendors.agora_keys import AgoraKeys
from everreel.vendors.json_api import TOTAL_S, Reply, request
from everreel.vendors.pace import Pace

CONTROLLED_H = 720
"""Hours during which a recording can be asked about and stopped; the API gives 72 by itself.

Source: Agora, acquire, `resourceExpiredHour`, from 1 to 720.
"""

Request = tuple[str, str, dict[str, Any] | None]
"""Method, path with query, body."""


class AgoraApi:
    """What both services share: addresses, credentials, pace."""

    def __init__(
        self,
        keys: AgoraKeys,
        *,
        practices: Practices,
        clock: Clock | None = None,
        total_s: float = TOTAL_S,
    ) -> None:
        """Call the API where `keys` are good; an answer takes `total_s` seconds at most."""
        self.practices = practices
        self._keys = keys
        self._pace = Pace(practices.requests_per_s, clock or SystemClock())
        self._total_s = total_s

    def send(self, made: Request, watch: VendorWatch) -> Reply:
        """Send one request; once more if the credentials were replaced meanwhile."""
        reply = self._once(made, watch)
        if reply.status == 401 and self._keys.refused():
            return self._once(made, watch)
        return reply

    def storage(self) -> Mapping[str, Any] | None:
        """Return where recordings go that name no storage of their own."""
        return self._keys.key().storage

    def _once(self, made: Request, watch: VendorWatch) -> Reply:
        key = self._keys.key()
        self._pace.wait()
        method, path, body = made
        return request(
            key.origins[watch.domain % len(key.origins)],
            method,
            path,
            authorization=key.authorization,
            body=body,
            total_s=self._total_s,
        )


class CloudRecording:
    """Agora's cloud recording; implements `supervisor.provider.Provider`."""

    practices = CLOUD_RECORDING

    def __init__(self, api: AgoraApi) -> None:
        """Call it through `api`."""
        self._api = api

    def ask(self, call: Call, order: VendorOrder, watch: VendorWatch) -> Answer:
        """Make one call. Raises: ServiceFault."""
        client_request = self._start_request(order, watch) if call is Call.START else {}
        reply = self._api.send(_recording_request(call, order, watch, client_request), watch)
        task = words.task_in(reply.body, "sid") if call is Call.START else ""
        return _answer(
            reply,
            words.texts_in([client_request, order.tokens]),
            ticket=words.text_in(reply.body, "resourceId") if call is Call.ACQUIRE else "",
            task=task,
            health=words.recording_health(reply.body),
            recorded=words.recording_has_media(reply.body),
            playlist=self._playlist(call, order, task, client_request, reply),
        )

    def _start_request(self, order: VendorOrder, watch: VendorWatch) -> dict[str, Any]:
        """Complete the start request with what belongs to this deployment and this uid."""
        made = dict(order.request)
        storage = self._api.storage()
        if storage is not None:
            made.setdefault("storageConfig", storage)
        token = order.tokens.get(uid_of(order, watch))
        if token is not None:
            made["token"] = token
        if order.max_idle_s:
            made["recordingConfig"] = {
                **made.get("recordingConfig", {}),
                "maxIdleTime": order.max_idle_s,
            }
        return made

    def _playlist(
        self,
        call: Call,
        order: VendorOrder,
        task: str,
        client_request: Mapping[str, Any],
        reply: Reply,
    ) -> str:
        if call in {Call.QUERY, Call.STOP}:
            return words.playlist_in(reply.body)
        if not task or order.layout is not Layout.MIX:
            return ""
        prefix = client_request.get("storageConfig", {}).get("fileNamePrefix", [])
        return words.playlist_of_mix(task, order.channel, prefix)


class CloudTranscoder:
    """Agora's cloud transcoder; implements `supervisor.provider.Provider`."""

    practices = CLOUD_TRANSCODER

    def __init__(self, api: AgoraApi) -> None:
        """Call it through `api`."""
        self._api = api

    def ask(self, call: Call, order: VendorOrder, watch: VendorWatch) -> Answer:
        """Make one call. Raises: ServiceFault."""
        reply = self._api.send(_transcoder_request(call, order, watch), watch)
        return _answer(
            reply,
            words.texts_in([order.request, order.tokens]),
            ticket=words.text_in(reply.body, "tokenName") if call is Call.ACQUIRE else "",
            task=words.task_in(reply.body, "taskId") if call is Call.START else "",
            health=words.transcoder_health(reply.body),
            recorded=words.transcoder_has_media(reply.body),
        )


def _recording_request(
    call: Call, order: VendorOrder, watch: VendorWatch, client_request: Mapping[str, Any]
) -> Request:
    base = f"/v1/apps/{quote(order.app, safe='')}/cloud_recording"
    envelope = {"cname": order.channel, "uid": uid_of(order, watch)}
    if call is Call.ACQUIRE:
        return (
            "POST",
            f"{base}/acquire",
            {
                **envelope,
                "clientRequest": {"resourceExpiredHour": CONTROLLED_H},
            },
        )
    resource = f"{base}/resourceid/{quote(watch.ticket, safe='')}"
    mode = f"mode/{order.layout.value}"
    if call is Call.START:
        return "POST", f"{resource}/{mode}/start", {**envelope, "clientRequest": client_request}
    task = f"{resource}/sid/{quote(watch.task, safe='')}/{mode}"
    if call is Call.QUERY:
        return "GET", f"{task}/query", None
    # Waiting for the upload would take longer than a look may.
    return "POST", f"{task}/stop", {**envelope, "clientRequest": {"async_stop": True}}


def _transcoder_request(call: Call, order: VendorOrder, watch: VendorWatch) -> Request:
    base = f"/v1/projects/{quote(order.app, safe='')}/rtsc/cloud-transcoder"
    if call is Call.ACQUIRE:
        # Unlike a name drawn by lot this one makes the repeat of an acquire recognisable.
        instance = f"{watch.sid}-{watch.starts}"
        body = {**_transcoding(order, watch), "instanceId": instance}
        return "POST", f"{base}/builderTokens", body
    token = urlencode({"builderToken": watch.ticket})
    if call is Call.START:
        return "POST", f"{base}/tasks?{token}", _transcoding(order, watch)
    task = f"{base}/tasks/{quote(watch.task, safe='')}?{token}"
    return ("GET" if call is Call.QUERY else "DELETE"), task, None


def _transcoding(order: VendorOrder, watch: VendorWatch) -> dict[str, Any]:
    """Make the body of a transcoder's start: the caller's, with this uid and the idle time."""
    uid = uid_of(order, watch)
    services = dict(order.request.get("services", {}))
    service = dict(services.get("cloudTranscoder", {}))
    config = dict(service.get("config", {}))
    transcoder = dict(config.get("transcoder", {}))
    if order.max_idle_s:
        transcoder["idleTimeout"] = order.max_idle_s
    transcoder["outputs"] = [_output(each, order, uid) for each in transcoder.get("outputs", [])]
    service["config"] = {**config, "transcoder": transcoder}
    service.setdefault("serviceType", "cloudTranscoderV2")
    return {**order.request, "services": {**services, "cloudTranscoder": service}}


def _output(output: Mapping[str, Any], order: VendorOrder, uid: str) -> dict[str, Any]:
    """Let an output that goes into a channel join under `uid`; one to a CDN has none."""
    if "rtc" not in output:
        return dict(output)
    rtc = {**output["rtc"], "rtcUid": int(uid)}
    if uid in order.tokens:
        rtc["rtcToken"] = order.tokens[uid]
    return {**output, "rtc": rtc}


def _answer(reply: Reply, sent: Iterable[str], **told: Any) -> Answer:
    """Read a reply to a request in which the texts of `sent` were; any may let somebody in."""
    if 200 <= reply.status < 300:
        return Answer(reply.status, code=words.code_of(reply.body), **told)
    message = words.message_of(reply.body, hidden=sent)
    return Answer(
        reply.status,
        code=words.code_of(reply.body),
        message=message,
        field=words.culprit(message),
    )
