"""Translates between the words on the wire and those of recordings at a vendor."""

from everreel.clock import iso
from everreel.contract.requests import StartWish
from everreel.contract.vendor import VendorAttemptReply, VendorHintsReply, VendorReply
from everreel.events.facts import Facts
from everreel.lifecycle.at_vendors import VendorView
from everreel.lifecycle.requests import VendorWish
from everreel.state.vendor import Layout
from everreel.supervisor.vendor import uid_of

OPTIONS = frozenset({"max_idle_seconds", "max_duration_seconds"})
"""Those that hold for a vendor's recording as well."""


def vendor_wish(wish: StartWish) -> VendorWish | None:
    """Read what a vendor is to be told, None if the caller names none."""
    body, options = wish.vendor, wish.options
    if body is None:
        return None
    given = options.model_fields_set
    return VendorWish(
        app=body.app_id,
        layout=Layout(body.layout),
        token=body.token or "",
        backup_token=body.backup_token or "",
        request=body.request,
        restarts=body.restarts,
        max_idle_s=options.max_idle_seconds if "max_idle_seconds" in given else 0,
        foreign_options=tuple(sorted(given - OPTIONS)),
    )


def vendor_reply(view: VendorView | None) -> VendorReply | None:
    """Tell the caller how a recording stands at its vendor; never what lets somebody in."""
    if view is None:
        return None
    task, watch = view.task, view.task.watch
    return VendorReply(
        app_id=task.order.app,
        task=watch.task or None,
        uid=uid_of(task.order, watch),
        health=view.health.value,
        note=task.note,
        running_since=_instant(watch.running_utc_us),
        next_call_at=None if task.ending else _instant(task.due_utc_us or task.created_utc_us),
        playlist=watch.playlist or None,
        restarts=watch.restarts,
        attempts=[
            VendorAttemptReply(
                uid=each.uid, task=each.task or None, ended_at=iso(each.utc_us), why=each.why
            )
            for each in task.attempts
        ],
        hints=_hints(view.facts),
    )


def _hints(facts: Facts) -> VendorHintsReply:
    return VendorHintsReply(
        started=facts.started,
        exited=facts.exited,
        abnormal=facts.abnormal,
        stored=facts.stored,
        backed_up=facts.backed_up,
        progress=facts.progress,
        recorders=sorted(facts.uids),
        files=sorted(facts.files),
        errors=sorted(facts.errors),
        newest_at=_instant(facts.newest_utc_us),
    )


def _instant(utc_us: int) -> str | None:
    return iso(utc_us) if utc_us else None
