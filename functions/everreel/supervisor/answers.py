"""What the answers of a vendor mean. Pure."""

from enum import StrEnum

from everreel.state.vendor import Call
from everreel.supervisor.provider import Answer

UNFINISHED = 65
"""The vendor's code for a request that it took and could not finish in time."""

RENEW_CODES = frozenset({53, 433})
"""A start with this ticket and uid cannot succeed: the uid records already, the ticket is old."""

ALREADY_STARTED = 7
"""The vendor's code, with 201, for a start with a ticket that has started a task before."""

TIMED_OUT = 62
"""The vendor's code for a request of which it does not know what became of it."""

NO_ROOM = 406
"""The vendor's code for an acquire beyond the number of tasks it allows."""

ENDED_ALREADY = frozenset({49, 435})
"""The vendor's codes for a stop that is under way already, and of a task that stored nothing."""


class Meaning(StrEnum):
    """What an answer says about the call it answers."""

    DONE = "done"
    RENEW = "renew"
    NAMELESS = "nameless"
    UNFINISHED = "unfinished"
    NO_ROOM = "no_room"
    THROTTLED = "throttled"
    FAILING = "failing"
    GONE = "gone"
    DENIED = "denied"
    WRONG = "wrong"


def meaning_of(call: Call, answer: Answer) -> Meaning:
    """Classify an answer."""
    status, code = answer.status, answer.code
    if code == UNFINISHED:
        return Meaning.UNFINISHED
    if call is Call.STOP and code in ENDED_ALREADY:
        return Meaning.DONE
    if _cannot_start(call, answer):
        return Meaning.RENEW
    if status == 429:
        return Meaning.THROTTLED
    if call is Call.ACQUIRE and status == 400 and code == NO_ROOM:
        return Meaning.NO_ROOM
    if status == 404 and call in {Call.QUERY, Call.STOP}:
        return Meaning.GONE
    if status in {401, 403} and call in {Call.QUERY, Call.STOP}:
        return Meaning.DENIED
    if 400 <= status < 500:
        return Meaning.WRONG
    if status == 206 or not 200 <= status < 300:
        return Meaning.FAILING
    if call is Call.START and status == 201 and code == ALREADY_STARTED and not answer.task:
        return Meaning.NAMELESS
    # Without what it was asked for an answer is of no use.
    told = {Call.ACQUIRE: answer.ticket, Call.START: answer.task}.get(call, "nothing to tell")
    return Meaning.DONE if told else Meaning.FAILING


def is_doubtful(call: Call, answer: Answer) -> bool:
    """Tell whether a start without a task may have been taken all the same: something may run."""
    if call is not Call.START:
        return False
    unclear = meaning_of(call, answer) in {
        Meaning.FAILING,
        Meaning.UNFINISHED,
        Meaning.NAMELESS,
    }
    return unclear or answer.code == TIMED_OUT


def _cannot_start(call: Call, answer: Answer) -> bool:
    """Tell whether this identity is in use: under another one the same request may succeed."""
    if call is Call.START and 400 <= answer.status < 500 and answer.code in RENEW_CODES:
        return True
    return call in {Call.ACQUIRE, Call.START} and answer.status == 409
