"""Where vendors tell what happens to their tasks: open routes that believe only what is signed."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request

from everreel.contract.replies import NoticeReply
from everreel.events.fan_in import NoticeDoor
from everreel.http.native import problems

TAKEN = NoticeReply(code=0)
REFUSED = "The notice is not signed with a secret of this deployment"
BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"type": "object"}}},
}
OPEN: dict[str, Any] = {"security": [], "requestBody": BODY}


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

    return routes
