"""The guard against hostile URLs: a corpus of spellings, and names that change their mind."""

import threading
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everreel.errors import SourceRefused, SourceUnreachable
from everreel.protocols import addresses
from everreel.protocols.guard import HTTP_SCHEMES, SETTING, Guard, Lookup

PUBLIC = "93.184.216.34"
PUBLIC6 = "2606:2800:220:1:248:1893:25c8:1946"


class Names:
    """A resolver that answers from a list, one answer per call, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        if not self.answers:
            raise OSError("no such name")
        return self.answers.pop(0)


def public_guard(*answers: list[str]) -> Guard:
    return Guard(resolve=Names(*(answers or ([PUBLIC],))))


HOSTILE_HOSTS = [
    # loopback, in every spelling a resolver takes
    "127.0.0.1", "127.255.255.254", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1",
    "0x7F.0x0.0x0.0x1", "017700000001", "0177.0.0.1", "0177.1", "127.0.0.1.", "127.000.000.001",
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "[::1]", "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[0:0:0:0:0:ffff:127.0.0.1]",
    # private, carrier NAT, benchmarking
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "100.127.255.255", "198.18.0.1", "[fc00::1]", "[fd12:3456:789a::1]", "167772161", "0xa.0.0.1",
    # link-local and metadata
    "169.254.169.254", "169.254.100.1", "169.254.170.2", "2852039166", "0xa9fea9fe",
    "0251.0376.0251.0376", "[fe80::1]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[fd00:ec2::254]",
    "[::ffff:169.254.169.254]",
    # unspecified, multicast, reserved, documentation
    "0.0.0.0", "0", "0x0", "[::]", "224.0.0.1", "239.255.255.250", "[ff02::1]", "240.0.0.1",
    "255.255.255.255", "192.0.0.8", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1",
    "[2001:db8::1]", "[100::1]", "[3fff::1]", "[4000::1]", "[fec0::1]",
    # IPv4 inside IPv6: 6to4, Teredo, NAT64
    "[2002:7f00:1::]", "[2002:a9fe:a9fe::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[64:ff9b::7f00:1]", "[64:ff9b::169.254.169.254]", "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::a00:1]", "[::ffff:0:127.0.0.1]",
    # numbers that are no addresses, and names that are no names
    "256.256.256.256", "1.2.3.4.5", "0x", "127.0.0.0x1g.1", "1.2.3.08", "4294967296",
    "①②⑦.⓪.⓪.①", "127。0。0。1", "\uff11\uff12\uff17.0.0.1", "ⓛocalhost",
    "127%2e0%2e0%2e1", "localh%6fst",
    "-a.example", "a-.example", "a..example", ".example", "", "exa mple.com", "a" * 64 + ".example",
    "exam\tple.com", "example.com\n", "example.com\x00", "[::1", "[v1.fe80::a]", "[]",
]  # fmt: skip

HOSTILE_URLS = [
    "http://example.com\\@127.0.0.1/", "http://127.0.0.1\\@example.com/",
    "http://a@b@127.0.0.1/", "http://example.com:80@127.0.0.1/", "http://example.com#@127.0.0.1\\/",
    "http://127.0.0.1:80#@example.com/", "http://127.0.0.1?@example.com/",
    "http://example.com@[::1]/", "http://user:127.0.0.1@localhost/",
    " http://127.0.0.1/", "http:// 127.0.0.1/", "ht\ntp://127.0.0.1/", "http://127.0.0.1 /",
    "http:127.0.0.1", "http:/127.0.0.1/", "http:///127.0.0.1/", "//127.0.0.1/", "127.0.0.1", "",
    "file:///etc/passwd", "file://localhost/etc/passwd", "gopher://example.com/", "ftp://a.example/",
    "data:text/plain,x", "concat:http://a|http://b", "subfile,,start,0,end,9,,:/etc/passwd",
    "unix:///var/run/docker.sock", "dict://a.example:11211/", "ldap://a.example/", "crypto:http://a",
    "javascript:alert(1)", "jar:http://a.example!/", "tcp://a.example:1", "udp://a.example:1",
    "pipe:0", "fd:", "srt://a.example:9000", "webrtc://a.example/x", "whep://a.example/x",
    "http://a.example:0/", "http://a.example:65536/", "http://a.example:-1/",
    "http://a.example:8O/", "http://a.example:99999999999/", "http://a.example/" + "x" * 9000,
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTILE_HOSTS)
@pytest.mark.parametrize("scheme", ["http", "rtmps", "rtsp"])
def test_check_when_the_host_is_not_public_then_it_is_refused_without_a_lookup(host, scheme):
    names = Names([PUBLIC])
    with pytest.raises(SourceRefused) as caught:
        Guard(resolve=names).check(f"{scheme}://{host}/live/x")
    assert caught.value.field == "source"
    assert names.asked == []


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_check_when_the_url_is_hostile_then_it_is_refused_without_a_lookup(url):
    names = Names([PUBLIC])
    with pytest.raises(SourceRefused):
        Guard(resolve=names).check(url)
    assert names.asked == []


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        [PUBLIC, PUBLIC6, "::1"],
        ["169.254.169.254"],
        ["fe80::1%2"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["not an address"],
    ],
)
def test_check_when_any_answer_is_not_public_then_the_name_is_refused(answers):
    with pytest.raises(SourceRefused, match=r"cdn\.example"):
        public_guard(answers).check("https://cdn.example/live.flv")


def test_check_when_a_name_changes_its_answer_then_only_the_first_one_counts():
    names = Names([PUBLIC], ["127.0.0.1"])
    endpoint = Guard(resolve=names).check("http://rebind.example/live.flv")
    assert endpoint.address == PUBLIC
    assert names.asked == [("rebind.example", 80)]


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("http://CDN.Example/live.flv", "cdn.example", 80, False),
        ("https://cdn.example./live.flv", "cdn.example", 443, True),
        ("rtmp://cdn.example/app/key", "cdn.example", 1935, False),
        ("rtmps://cdn.example/app/key", "cdn.example", 443, True),
        ("rtsp://user:pa%40ss@cdn.example:8554/x", "cdn.example", 8554, False),
        ("rtsps://cdn.example/x", "cdn.example", 322, True),
        ("HTTP://cdn.example:/x", "cdn.example", 80, False),
        ("http://xn--bcher-kva.example/x", "xn--bcher-kva.example", 80, False),
        ("http://under_score.example/x", "under_score.example", 80, False),
    ],
)
def test_check_when_the_host_is_public_then_the_endpoint_says_where(url, host, port, tls):
    endpoint = public_guard([PUBLIC, PUBLIC6]).check(url)
    assert (endpoint.host, endpoint.address, endpoint.port, endpoint.tls) == (
        host,
        PUBLIC,
        port,
        tls,
    )


@pytest.mark.parametrize(
    ("host", "address"),
    [
        (PUBLIC, PUBLIC),
        (f"[{PUBLIC6}]", PUBLIC6),
        ("[2606:2800:0220:0001:0248:1893:25C8:1946]", PUBLIC6),
        ("[64:ff9b::5db8:d822]", "64:ff9b::5db8:d822"),
    ],
)
def test_check_when_the_host_is_a_public_address_then_no_resolver_is_asked(host, address):
    names = Names()
    endpoint = Guard(resolve=names).check(f"http://{host}/x")
    assert endpoint.address == address
    assert names.asked == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "localhost", "10.0.0.1", "[::1]", "[fd12::1]", "100.64.1.1"]
)
def test_check_when_the_deployment_allows_private_sources_then_they_are_opened(host):
    guard = Guard(allow_private=True, resolve=Names(["127.0.0.1"]))
    assert ip_address(guard.check(f"http://{host}/x").address).is_global is False


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "169.254.100.1", "[fe80::1]", "[fd00:ec2::254]", "0.0.0.0", "224.0.0.1",
     "[::ffff:127.0.0.1]", "2852039166"],
)  # fmt: skip
def test_check_when_private_sources_are_allowed_then_metadata_and_the_like_stay_closed(host):
    with pytest.raises(SourceRefused) as caught:
        Guard(allow_private=True, resolve=Names()).check(f"http://{host}/x")
    assert SETTING not in caught.value.message


def test_check_when_refused_for_privacy_then_the_message_names_host_and_setting():
    with pytest.raises(SourceRefused) as caught:
        public_guard(["10.1.2.3"]).check("http://user:secret@cam.example/live?token=secret")
    assert "cam.example" in caught.value.message
    assert SETTING in caught.value.message
    assert "secret" not in caught.value.message
    assert "10.1.2.3" not in caught.value.message


def test_check_when_the_name_does_not_resolve_then_the_source_is_unreachable():
    with pytest.raises(SourceUnreachable) as caught:
        Guard(resolve=Names()).check("http://nowhere.example/x")
    assert caught.value.field == "source"
    with pytest.raises(SourceUnreachable):
        public_guard([]).check("http://nowhere.example/x")


@pytest.mark.parametrize("scheme", ["srt", "webrtc", "whep"])
def test_check_when_the_scheme_is_planned_then_the_message_says_not_yet(scheme):
    with pytest.raises(SourceRefused, match=r"not supported yet.*rtmp, rtmps"):
        public_guard().check(f"{scheme}://cdn.example/x")


def test_check_syntax_when_the_caller_wants_http_then_other_schemes_are_refused():
    with pytest.raises(SourceRefused, match="http, https"):
        public_guard().check_syntax("rtmp://cdn.example/app/x", HTTP_SCHEMES)


def test_check_syntax_when_all_is_well_then_the_url_is_taken_apart_and_nothing_resolved():
    names = Names()
    target = Guard(resolve=names).check_syntax("https://us%40er:p%3Ass@cdn.example/a%20b?c=d#e")
    assert (target.user, target.password, target.path) == ("us@er", "p:ss", "/a%20b?c=d")
    assert target.origin == ("https", "cdn.example", 443)
    assert "ss" not in repr(target).replace("https", "")
    assert names.asked == []


@given(st.integers(0, 2**32 - 1))
def test_kind_of_when_the_library_knows_an_ipv4_as_not_global_then_we_refuse_it(number):
    address = IPv4Address(number)
    if not address.is_global or address.is_multicast:
        assert addresses.kind_of(str(address), allow_private=False) is not None


@given(st.integers(0, 2**128 - 1) | st.integers(0x2000 << 112, (0x2003 << 112) - 1))
def test_kind_of_when_the_library_knows_an_ipv6_as_not_global_then_we_refuse_it(number):
    address = IPv6Address(number)
    if not address.is_global or address.is_multicast:
        assert addresses.kind_of(str(address), allow_private=False) is not None


@given(st.text(max_size=40))
def test_check_when_the_url_is_noise_then_only_a_refusal_comes_back(text):
    for url in (text, f"http://{text}", f"http://{text}@{text}/"):
        try:
            endpoint = public_guard().check(url)
        except SourceRefused:
            continue
        assert addresses.kind_of(endpoint.address, allow_private=False) is None


def test_lookup_when_the_resolver_hangs_then_the_caller_does_not():
    release = threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        release.wait(10)
        return [PUBLIC]

    guard = Guard(resolve=hanging)
    lookup = Lookup(guard, guard.check_syntax("http://slow.example/x"))
    assert lookup.wait(0.0) is None
    release.set()
    endpoint = lookup.wait(5.0)
    assert endpoint is not None
    assert endpoint.address == PUBLIC


def test_lookup_when_the_guard_refuses_then_the_refusal_reaches_the_caller():
    guard = public_guard(["10.0.0.1"])
    with pytest.raises(SourceRefused):
        Lookup(guard, guard.check_syntax("http://cam.example/x")).wait(5.0)
