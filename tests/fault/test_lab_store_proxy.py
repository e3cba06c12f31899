"""The failing store of the lab does to a client what a failing store does, and to no other."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest

from tests.fault.lab.store_proxy import Spell, StoreProxy, Trouble
from tests.lab.http_live import HttpLive, Reply

SID = "0" * 32


class Store(HttpLive):
    """Takes any request and says OK; `requests` holds what arrived."""

    path = f"/bucket/room/{SID}/segment"

    def serve(self, reply: Reply, number: int) -> None:
        reply.write(b"stored")
        reply.end()


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as running:
        yield running


@pytest.fixture
def proxy(store: Store) -> Iterator[StoreProxy]:
    with StoreProxy(lambda: store.port) as running:
        yield running


def put(proxy: StoreProxy, *, conditional: bool = True, method: str = "PUT") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
    try:
        headers = {"If-None-Match": "*"} if conditional else {}
        body = b"body" if method == "PUT" else None
        connection.request(method, Store.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_proxy_when_nothing_is_wrong_then_hands_on(proxy: StoreProxy, store: Store) -> None:
    assert put(proxy) == (200, b"stored")
    assert put(proxy, method="GET") == (200, b"stored")
    assert store.requests[0].startswith(f"PUT {Store.path} ")
    assert "if-none-match: *" in store.requests[0].lower()


@pytest.mark.parametrize(
    ("trouble", "status", "code"),
    [(Trouble.BUSY, 503, b"SlowDown"), (Trouble.CONFLICT, 409, b"ConditionalRequestConflict")],
)
def test_proxy_when_the_store_refuses_then_nothing_is_stored(
    proxy: StoreProxy, store: Store, trouble: Trouble, status: int, code: bytes
) -> None:
    spell = Spell(trouble, seed=1, share=1.0)
    proxy.begin("room", spell)

    found, body = put(proxy)

    assert (found, code in body) == (status, True)
    assert store.requests == []
    assert spell.hits == 1
    proxy.end("room")
    assert put(proxy)[0] == 200


def test_proxy_when_the_answer_is_lost_then_the_object_is_stored_all_the_same(
    proxy: StoreProxy, store: Store
) -> None:
    proxy.begin("room", Spell(Trouble.LOST_ANSWER, seed=1, share=1.0))

    with pytest.raises((http.client.RemoteDisconnected, ConnectionError, socket.timeout)):
        put(proxy)

    assert len(store.requests) == 1


@pytest.mark.parametrize("trouble", [Trouble.CONFLICT, Trouble.LOST_ANSWER])
def test_proxy_when_a_write_has_no_condition_then_it_cannot_conflict(
    proxy: StoreProxy, trouble: Trouble
) -> None:
    proxy.begin("room", Spell(trouble, seed=1, share=1.0))

    assert put(proxy, conditional=False)[0] == 200


def test_proxy_when_another_channel_is_in_trouble_then_passes(proxy: StoreProxy) -> None:
    proxy.begin("hall", Spell(Trouble.BUSY, seed=1, share=1.0))

    assert put(proxy)[0] == 200


def test_proxy_when_it_reads_then_nothing_is_in_its_way(proxy: StoreProxy) -> None:
    proxy.begin("room", Spell(Trouble.BUSY, seed=1, share=1.0))

    assert put(proxy, method="GET")[0] == 200


def test_spell_when_seeded_alike_then_strikes_alike() -> None:
    def strikes(seed: int) -> list[bool]:
        spell = Spell(Trouble.BUSY, seed=seed)
        return [spell.strikes(conditional=True) for _ in range(40)]

    assert strikes(7) == strikes(7)
    assert strikes(7) != strikes(8)
    assert 8 < sum(strikes(7)) < 32
