"""The judgement of a recording that runs at a vendor: from an answer to the next call. Pure.

Acquire, start, confirm, then query in a steady rhythm: the query is the truth. What fails is asked
again as the vendor wishes (`practices`); a start that stays without success, and a task that was
lost, are made anew with the other uid and a new ticket.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from everreel.clock import MICROSECONDS
from everreel.state.vendor import Call, VendorOrder, VendorWatch
from everreel.supervisor.answers import Meaning, is_doubtful, meaning_of
from everreel.supervisor.backoff import wait_s
from everreel.supervisor.practices import Practices
from everreel.supervisor.provider import Answer, Health

NAME_QUERIES = 2
"""That ask for the name of a playlist; later ones are for the task's health alone."""


UNASKED = frozenset({Meaning.DENIED, Meaning.THROTTLED})
"""Answers to a query that say nothing about its task, which records on."""


class Ending(StrEnum):
    """Why a vendor's task is no longer watched."""

    STOPPED = "stopped"
    EXITED = "exited"
    REFUSED = "refused"
    NEVER_STARTED = "never_started"
    LOST = "lost"
    NO_ROOM = "no_room"
    STOP_UNCONFIRMED = "stop_unconfirmed"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next.

    Attributes:
        wait_s: until `watch.call` is made.
        why: in a few words, for whoever reads the state machine.
        ending: there is nothing more to do.
        field: of the request that the vendor refuses, if it says so.
    """

    wait_s: int
    why: str
    ending: Ending | None = None
    field: str = ""


Judged = tuple[Step, VendorWatch]


def uid_of(order: VendorOrder, watch: VendorWatch) -> str:
    """Return the uid under which the vendor joins this time: main and backup alternate."""
    return order.uids[watch.starts % len(order.uids)]


def heed(watch: VendorWatch, *, stop: bool) -> VendorWatch | Step:
    """Turn to stopping if somebody asked for it; the answer is what to go on with.

    A start that may have been taken is repeated first: with the same ticket, so it begins nothing
    twice and tells the task that is to be stopped.
    """
    if not stop or watch.call is Call.STOP:
        return watch
    if not watch.task:
        if not watch.doubted:
            return Step(0, "stopped before anything ran", Ending.STOPPED)
        if watch.call is Call.START and watch.doubted == watch.ticket:
            return watch
        why = "a start may have been taken, and its task was never told"
        return Step(0, why, Ending.STOP_UNCONFIRMED)
    return replace(watch, call=Call.STOP, tries=0, trouble="")


def announced(watch: VendorWatch) -> VendorWatch:
    """Return the watch as it is kept while its call is made: a start that is sent is in doubt."""
    return replace(watch, doubted=watch.ticket) if watch.call is Call.START else watch


def judge(
    order: VendorOrder,
    practices: Practices,
    watch: VendorWatch,
    answer: Answer,
    now_us: int,
    *,
    tasks: int = 1,
    exited: bool = False,
) -> Judged:
    """Judge the answer to `watch.call`.

    `tasks` is how many are watched at this vendor under the same application: the more, the rarer
    is each one asked about. `exited` says that by hearsay this very task came to a good end: it
    counts only for a task that queries no longer find, and says why they do not.
    Units: `now_us` is UTC in microseconds since the epoch.
    """
    meaning = meaning_of(watch.call, answer)
    if is_doubtful(watch.call, answer):
        watch = replace(watch, doubted=watch.ticket)
    if meaning is Meaning.FAILING:
        watch = replace(watch, domain=watch.domain + 1)
    match watch.call:
        case Call.ACQUIRE if meaning is Meaning.DONE:
            acquired = replace(watch, call=Call.START, ticket=answer.ticket, tries=0, trouble="")
            return Step(0, "acquired"), acquired
        case Call.ACQUIRE:
            return _judge_failed_start(practices, watch, answer, meaning)
        case Call.START if meaning is Meaning.DONE:
            return _started(order, practices, watch, answer, now_us)
        case Call.START:
            return _judge_failed_start(practices, watch, answer, meaning)
        case Call.STOP:
            return _judge_stop(practices, watch, answer, meaning)
        case Call.QUERY:
            watch = replace(watch, looks=watch.looks + 1)
            judged = _judge_query(
                order, practices, watch, answer, now_us, tasks=tasks, exited=exited
            )
            return _within_the_deadline(practices, *judged, now_us)


# ---------------------------------------------------------------------- start and stop


def _started(
    order: VendorOrder, practices: Practices, watch: VendorWatch, answer: Answer, now_us: int
) -> Judged:
    fresh = replace(
        watch,
        call=Call.QUERY,
        doubted="",
        task=answer.task,
        task_utc_us=now_us,
        running_utc_us=0,
        recorded=False,
        playlist=answer.playlist,
        names_asked=0,
        looks=0,
        tries=0,
        trouble="",
        trouble_utc_us=0,
    )
    pause_s = _below_idle_s(order, practices, practices.confirm_s[0])
    return Step(pause_s, f"{answer.task} started, to be confirmed"), fresh


def _judge_failed_start(
    practices: Practices, watch: VendorWatch, answer: Answer, meaning: Meaning
) -> Judged:
    """Repeat the same request, then try another identity; give up what can never succeed."""
    what = f"{watch.call.value} {_told(answer)}"
    if meaning in {Meaning.WRONG, Meaning.GONE}:
        return Step(0, what, Ending.REFUSED, answer.field), watch
    if meaning in {Meaning.RENEW, Meaning.NAMELESS}:
        return _renew(practices, watch, what)
    if meaning is Meaning.THROTTLED:
        if watch.tries < len(practices.throttled_again_s):
            return _wait_out(practices, watch, what)
        return Step(0, what, Ending.NEVER_STARTED), watch  # another uid would be one call more
    unfinished = meaning is Meaning.UNFINISHED
    again_s = practices.unfinished_again_s if unfinished else practices.start_again_s
    if watch.tries < len(again_s):
        tried = replace(watch, tries=watch.tries + 1, trouble=meaning.value)
        return Step(again_s[watch.tries], f"{what}, try {tried.tries}"), tried
    if meaning is Meaning.NO_ROOM:  # another uid finds no more room than this one
        return Step(0, what, Ending.NO_ROOM), watch
    return _renew(practices, watch, what)


def _judge_stop(
    practices: Practices, watch: VendorWatch, answer: Answer, meaning: Meaning
) -> Judged:
    gone = meaning is Meaning.GONE
    again_s = practices.gone_again_s if gone else practices.failing_again_s
    over = watch.tries >= len(again_s)
    # A task that no query has missed yet may be moving to another machine at the vendor.
    if meaning is Meaning.DONE or (gone and (over or watch.trouble_utc_us)):
        named = replace(watch, playlist=watch.playlist or answer.playlist)
        return Step(0, "stopped", Ending.STOPPED), named
    what = f"stop {_told(answer)}"
    if meaning is Meaning.DENIED:
        return Step(practices.denied_again_s, what), replace(watch, trouble=meaning.value)
    if meaning is Meaning.WRONG:
        return Step(0, what, Ending.REFUSED, answer.field), watch
    if meaning is Meaning.THROTTLED and watch.tries < len(practices.throttled_again_s):
        return _wait_out(practices, watch, what)
    if over:
        return Step(0, what, Ending.STOP_UNCONFIRMED), watch
    tried = replace(watch, tries=watch.tries + 1, trouble=meaning.value)
    return Step(again_s[watch.tries], f"{what}, try {tried.tries}"), tried


def _wait_out(practices: Practices, watch: VendorWatch, what: str) -> Judged:
    """Make the same call again when the vendor has fewer of them."""
    tried = replace(watch, tries=watch.tries + 1, trouble=Meaning.THROTTLED.value)
    pause_s = practices.throttled_wait_s(watch.sid, watch.tries)
    return Step(pause_s, f"{what}, try {tried.tries}"), tried


def _renew(practices: Practices, watch: VendorWatch, why: str) -> Judged:
    """Acquire anew with the other uid, as often as that is reasonable."""
    if watch.ticket and watch.doubted == watch.ticket:
        why += "; its start may have been taken and record on until its idle time"
    if watch.failed_starts + 1 >= practices.identities:
        return Step(0, f"never started: {why}", Ending.NEVER_STARTED), watch
    fresh = replace(_fresh(watch), failed_starts=watch.failed_starts + 1)
    return Step(0, f"acquire with the other uid: {why}"), fresh


def _fresh(watch: VendorWatch) -> VendorWatch:
    """Return the watch of a task that is yet to be acquired, under the other uid."""
    return VendorWatch(
        watch.sid,
        doubted=watch.doubted,
        starts=watch.starts + 1,
        failed_starts=watch.failed_starts,
        restarts=watch.restarts,
        domain=watch.domain,
    )


# ---------------------------------------------------------------------- query


def _judge_query(
    order: VendorOrder,
    practices: Practices,
    watch: VendorWatch,
    answer: Answer,
    now_us: int,
    *,
    tasks: int,
    exited: bool,
) -> Judged:
    meaning = meaning_of(Call.QUERY, answer)
    if meaning in UNASKED:
        what = f"query {_told(answer)}"
        tries = watch.tries if watch.trouble == meaning else 0
        unknown = replace(watch, tries=tries, trouble=meaning.value, trouble_utc_us=0)
        if meaning is Meaning.DENIED:
            return Step(practices.denied_again_s, what), unknown
        if tries < len(practices.throttled_again_s):
            return _wait_out(practices, unknown, what)
        return Step(practices.between_looks_s(tasks), what), unknown
    if meaning is not Meaning.DONE:
        return _judge_trouble(order, practices, watch, answer, meaning.value, now_us, exited=exited)
    match answer.health:
        case Health.RUNNING:
            return _running(order, practices, watch, answer, now_us, tasks)
        case Health.ENDED:
            return Step(0, "the vendor's task has exited", Ending.EXITED), watch
        case Health.FAILED:
            return _lost(order, practices, watch, "the vendor's task has failed")
        case Health.STARTING | Health.UNKNOWN if not watch.running_utc_us:
            pause_s = _below_idle_s(order, practices, wait_s(practices.confirm_s, watch.looks))
            return Step(pause_s, f"not running yet, look {watch.looks}"), replace(
                watch, tries=0, trouble=""
            )
        case _:
            return _judge_trouble(order, practices, watch, answer, answer.health.value, now_us)


def _running(
    order: VendorOrder,
    practices: Practices,
    watch: VendorWatch,
    answer: Answer,
    now_us: int,
    tasks: int,
) -> Judged:
    watch = replace(
        watch,
        running_utc_us=watch.running_utc_us or now_us,
        recorded=watch.recorded or answer.recorded,
        failed_starts=0,
        tries=0,
        trouble="",
        trouble_utc_us=0,
        playlist=watch.playlist or answer.playlist,
    )
    pause_s = practices.between_looks_s(tasks)
    if watch.restarts and not watch.recorded:
        # Whether it found anybody must be seen before it can exit for want of them.
        pause_s = _below_idle_s(order, practices, pause_s)
    if watch.playlist or not practices.writes_playlists:
        return Step(pause_s, "running"), watch
    if watch.names_asked == NAME_QUERIES:
        return Step(pause_s, "running, no playlist found"), watch
    name_after_s = practices.name_after_s(order.layout)
    age_s = (now_us - watch.running_utc_us) / MICROSECONDS
    if age_s >= name_after_s + watch.names_asked * practices.name_again_s:
        watch = replace(watch, names_asked=watch.names_asked + 1)
    due_s = name_after_s + watch.names_asked * practices.name_again_s - age_s
    if watch.names_asked < NAME_QUERIES:
        pause_s = max(1, min(pause_s, round(due_s)))
    return Step(pause_s, "running, its playlist has no name yet"), watch


def _judge_trouble(
    order: VendorOrder,
    practices: Practices,
    watch: VendorWatch,
    answer: Answer,
    trouble: str,
    now_us: int,
    *,
    exited: bool = False,
) -> Judged:
    """Ask again until the same trouble has been confirmed, or the task is unseen for too long."""
    failing = trouble in {Meaning.FAILING, Meaning.UNFINISHED}
    again_s = practices.failing_again_s if failing else practices.gone_again_s
    tries = watch.tries if trouble == watch.trouble else 0
    since_us = watch.trouble_utc_us or now_us
    unclear = now_us - since_us >= practices.unclear_s * MICROSECONDS
    if tries < len(again_s) and not unclear:
        watch = replace(watch, tries=tries + 1, trouble=trouble, trouble_utc_us=since_us)
        return Step(again_s[tries], f"query {_told(answer)}: {trouble}, look {tries + 1}"), watch
    what = f"query {_told(answer)}: {trouble}, confirmed"
    if trouble == Meaning.WRONG:
        return Step(0, what, Ending.REFUSED, answer.field), watch
    if trouble == Health.ENDING:
        return Step(0, what, Ending.EXITED), watch
    if trouble == Meaning.GONE and watch.running_utc_us:
        if exited:
            return Step(0, f"{what}; its notices say that it has exited", Ending.EXITED), watch
        if _found_nobody(order, practices, watch, since_us):
            return Step(0, f"{what}; it found nobody, as the one before", Ending.EXITED), watch
    return _lost(order, practices, watch, what)


def _found_nobody(
    order: VendorOrder, practices: Practices, watch: VendorWatch, gone_utc_us: int
) -> bool:
    """Tell whether a task that was started anew has waited its idle time for media, and left.

    The one before left for the same reason then, and another would do no better.
    """
    lived_us = gone_utc_us - watch.task_utc_us
    idle_us = (order.max_idle_s or practices.idle_s) * MICROSECONDS
    return watch.restarts > 0 and not watch.recorded and lived_us >= idle_us


def _lost(order: VendorOrder, practices: Practices, watch: VendorWatch, why: str) -> Judged:
    """Start a task anew that ran and is lost; one that never ran is a start that failed."""
    if not watch.running_utc_us:
        return _renew(practices, watch, why)
    if watch.restarts >= order.restarts:
        return Step(0, f"lost: {why}", Ending.LOST), watch
    fresh = replace(_fresh(watch), restarts=watch.restarts + 1)
    return Step(0, f"start anew with the other uid: {why}"), fresh


def _within_the_deadline(
    practices: Practices, step: Step, watch: VendorWatch, now_us: int
) -> Judged:
    """Give the verdict about a task that was never seen to run when its time is over."""
    judged = step.ending or watch.call is not Call.QUERY or watch.running_utc_us
    if judged or watch.trouble in UNASKED:
        return step, watch
    left_s = practices.confirmed_within_s - (now_us - watch.task_utc_us) / MICROSECONDS
    if left_s <= 0:
        why = f"not running {practices.confirmed_within_s} s after its start"
        return _renew(practices, watch, why)
    return replace(step, wait_s=min(step.wait_s, max(1, round(left_s)))), watch


def _below_idle_s(order: VendorOrder, practices: Practices, pause_s: int) -> int:
    """A task that finds nobody exits after its idle time: look before."""
    return max(1, min(pause_s, (order.max_idle_s or practices.idle_s) - 1))


def _told(answer: Answer) -> str:
    """Say what was answered, in a few words."""
    if not answer.status:
        return "not answered"
    code = f", code {answer.code}" if answer.code else ""
    words = f" ({answer.message})" if answer.message else ""
    return f"answered {answer.status}{code}{words}"
