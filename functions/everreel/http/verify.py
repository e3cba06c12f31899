"""Asking whether a recording is whole."""

from fastapi import APIRouter

from everreel.contract.replies import VerifyReply
from everreel.http.native import SidInPath, problems
from everreel.sealing.verification import Verifications


def verify_routes(verifications: Verifications) -> APIRouter:
    """Make the routes."""
    routes = APIRouter(prefix="/v1")
    invalid = "A field is wrong; the problem names it"
    unknown = "No such recording"

    @routes.post(
        "/recordings/{sid}/verify",
        status_code=202,
        summary="Verify an ended recording; may be repeated",
        description=(
            "Every stored object is read again and held against the manifest. The answer comes at "
            "once; GET tells how far it is and what was found. While one is under way a repeat "
            "changes nothing."
        ),
        responses=problems(s400=invalid, s404=unknown, s409="It still runs: stop it first"),
    )
    def verify(sid: SidInPath) -> VerifyReply:
        return VerifyReply.model_validate(verifications.request(sid))

    @routes.get(
        "/recordings/{sid}/verify",
        summary="Tell how far a verification is, or what it found",
        responses=problems(s400=invalid, s404=unknown),
    )
    def verification(sid: SidInPath) -> VerifyReply:
        return VerifyReply.model_validate(verifications.report(sid))

    return routes
