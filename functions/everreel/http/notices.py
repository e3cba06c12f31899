"""Where vendors tell what happens to their tasks, and callers read what was told.

The routes for telling are open and believe only what is signed; reading takes a key.
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request

from everreel.clock import iso
from everreel.contract.replies import FactsReply, HearsayReply, NoticeReply, ToldReply
from everreel.contract.requests import HearsayQuery
from everreel.events.facts import facts_of
from everreel.events.fan_in import NoticeDoor
from everreel.events.notices import AGORA, TENCENT
from everreel.events.own import EVERREEL
from everreel.http.native import problems
from everreel.state.notices import Notice, place

TAKEN = NoticeReply(code=0)
REFUSED = "The notice is not signed with a secret of this deployment"
BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"type": "object"}}},
}
LARGEST_ANSWER = 1024 * 1024
"""Bytes of notices in one answer; a function may answer with 6 MB."""

OPEN: dict[str, Any] = {"security": [], "requestBody": BODY}


class Teller(StrEnum):
    """Whose notices are kept."""

    AGORA = AGORA
    TENCENT = TENCENT
    EVERREEL = EVERREEL


TaskInPath = Annotated[
    str,
    Path(
        min_length=1,
        max_length=256,
        description="The vendor's id of the task (sid, taskId); of `everreel`, a recording's sid.",
    ),
]


async def _raw(request: Request) -> bytes:
    """Return the body as it was signed."""
    return await request.body()


Raw = Annotated[bytes, Depends(_raw)]
Signature = Annotated[str, Header(max_length=256)]


def notice_routes(door: NoticeDoor) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(prefix="/v1/notices")
    about: dict[str, Any] = {
        "responses": problems(s400="The body is no notice", s401=REFUSED),
        "openapi_extra": OPEN,
    }

    @routes.post("/agora", summary="Take a notice of Agora's notification service", **about)
    def notice_of_agora(
        body: Raw,
        sha1: Annotated[Signature, Header(alias="Agora-Signature")] = "",
        sha256: Annotated[Signature, Header(alias="Agora-Signature-V2")] = "",
    ) -> NoticeReply:
        door.agora(body, sha1=sha1, sha256=sha256)
        return TAKEN

    @routes.post("/tencent", summary="Take a callback of Tencent's cloud recording", **about)
    def notice_of_tencent(
        body: Raw, sign: Annotated[Signature, Header(alias="Sign")] = ""
    ) -> NoticeReply:
        door.tencent(body, sign=sign)
        return TAKEN

    @routes.get(
        "/{vendor}/{task:path}",
        summary="Read what was told of a task: hearsay, its query has the truth",
        responses=problems(s400="A field is wrong; the problem names it"),
    )
    def hearsay(
        vendor: Teller, task: TaskInPath, query: Annotated[HearsayQuery, Query()]
    ) -> HearsayReply:
        return describe(vendor, task, door.heard(vendor, task), query.limit)

    return routes


def describe(vendor: str, task: str, heard: Sequence[Notice], limit: int) -> HearsayReply:
    """Write what was told of a task as callers read it: all it adds up to, and the newest."""
    facts = facts_of(heard)
    newest = sorted(heard, key=lambda notice: (notice.utc_us, place(notice)), reverse=True)[:limit]
    sizes = accumulate(len(notice.detail) for notice in newest)
    shown = [notice for notice, size in zip(newest, sizes, strict=True) if size <= LARGEST_ANSWER]
    return HearsayReply(
        vendor=vendor,
        task=task,
        facts=FactsReply(
            started=facts.started,
            exited=facts.exited,
            abnormal=facts.abnormal,
            stored=facts.stored,
            backed_up=facts.backed_up,
            progress=facts.progress,
            recorders=tuple(sorted(facts.uids)),
            files=tuple(sorted(facts.files)),
            errors=tuple(sorted(facts.errors)),
        ),
        notices=tuple(
            ToldReply(
                event=notice.event,
                recorder=notice.uid,
                channel=notice.channel,
                at=iso(notice.utc_us),
                notice_id=notice.notice_id,
                detail=json.loads(notice.detail),
            )
            for notice in shown
        ),
        kept=len(heard),
    )
