"""RTSP: passwords and addresses."""

import pytest

from everreel.errors import SourceDenied
from everreel.protocols.rtsp import RtspPlay
from everreel.protocols.rtsp_auth import Challenge, Credentials, best_challenge
from everreel.protocols.rtsp_message import control_url, resolve
from tests.unit.protocols.rtsp_server import URL, Server, converse


def challenge_digest(extra: str = "") -> str:
    return f'401 No\r\nWWW-Authenticate: Digest realm="r", nonce="n"{extra}\r\n'


def test_converse_when_a_password_is_asked_for_then_every_request_carries_the_answer():
    server = Server(DESCRIBE=[challenge_digest(', qop="auth", algorithm=SHA-256')])
    parser = RtspPlay(URL, "u", "p", client_nonce=lambda: "c")
    converse(parser, server)
    assert server.methods()[-1] == "PLAY"
    counts = [
        headers["Authorization"].partition("nc=")[2][:8] for _, _, headers in server.requests[2:]
    ]
    assert counts == ["00000001", "00000002", "00000003", "00000004"]


def test_converse_when_the_password_is_wrong_then_gives_up_without_showing_it():
    server = Server(DESCRIBE=[challenge_digest(), challenge_digest()])
    with pytest.raises(SourceDenied) as caught:
        converse(RtspPlay("rtsp://us%40er:s3cret@cam.example/live"), server)
    assert "s3cret" not in str(caught.value)
    assert "us@er" not in str(caught.value)
    assert all("s3cret" not in str(request) for request in server.requests)


def test_converse_when_the_nonce_is_stale_then_tries_again():
    server = Server(DESCRIBE=[challenge_digest(), challenge_digest(", stale=true")])
    converse(RtspPlay(URL, "u", "p"), server)
    assert server.methods()[-1] == "PLAY"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_header_when_the_challenge_is_that_of_the_rfc_then_so_is_the_answer(algorithm, response):
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    client = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    one = Credentials("Mufasa", "Circle of Life", lambda: client)
    text = (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        f'nonce="{nonce}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    challenge = best_challenge([text])
    assert challenge is not None
    one.take(challenge)
    assert f'response="{response}"' in one.header("GET", "/dir/index.html")


def test_best_challenge_when_several_are_offered_then_takes_the_strongest():
    weak, strong = 'Basic realm="x", Digest realm="x", nonce="1"', 'Digest nonce="2"'
    best = best_challenge([weak, f"{strong}, algorithm=SHA-256"])
    assert best == Challenge("digest", {"nonce": "2", "algorithm": "SHA-256"})
    assert best_challenge([weak]) == Challenge("digest", {"realm": "x", "nonce": "1"})
    assert best_challenge(['Digest nonce="1", algorithm=SHA-512-256', "Negotiate"]) is None
    basic = Credentials("Aladdin", "open sesame", lambda: "")
    assert basic.header("GET", "/") == ""
    basic.take(Challenge("basic", {}))
    assert basic.header("GET", "/") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


# ---------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("base", "control", "wanted"),
    [
        ("rtsp://c/a/", "trackID=1", "rtsp://c/a/trackID=1"),
        ("rtsp://c/a", "trackID=1", "rtsp://c/a/trackID=1"),
        ("rtsp://c/a/", "*", "rtsp://c/a/"),
        ("rtsp://c/a/", "", "rtsp://c/a/"),
        ("rtsp://c/a/", "rtsp://in/b/1", "rtsp://in/b/1"),
        ("rtsp://c/a/?x=1", "stream=0", "rtsp://c/a/stream=0?x=1"),
        ("rtsp://c/cam?channel=1&subtype=0", "trackID=1", "rtsp://c/cam?channel=1&subtype=0/trackID=1"),
        ("rtsp://c/cam?channel=1/", "trackID=1", "rtsp://c/cam?channel=1/trackID=1"),
    ],
)  # fmt: skip
def test_control_url_when_servers_differ_then_resolves_as_they_do(base, control, wanted):
    assert control_url(base, control) == wanted


def test_resolve_when_the_reference_is_relative_then_keeps_server_and_scheme():
    assert resolve("rtsps://c:1/a/b", "/x") == "rtsps://c:1/x"
    assert resolve("rtsp://c/a", "rtsp://d/b") == "rtsp://d/b"
