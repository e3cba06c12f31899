"""A scripted RTSP server that answers within the process."""

from everreel.protocols.rtsp import RtspPlay
from tests.unit.media.bitstream.samples import H264_PPS, H264_SPS
from tests.unit.protocols.rtp_bytes import aac_payload, b64, rtp

URL = "rtsp://cam.example/live"
IDR = b"\x65\x88key"

SDP = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=control:*\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={b64(H264_SPS, H264_PPS)}\r\n"
    "a=control:trackID=0\r\n"
    "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/48000/2\r\n"
    "a=fmtp:97 mode=AAC-hbr;config=1190;sizeLength=13;indexLength=3;indexDeltaLength=3\r\n"
    "a=control:trackID=1\r\n"
)
RTP_INFO = f"url={URL}/trackID=0;seq=1;rtptime=9000,url={URL}/trackID=1;seq=7;rtptime=48000"


class Server:
    """Answers as RTSP servers do; `replies` overrides what a method gets, once per entry."""

    def __init__(self, sdp: str = SDP, rtp_info: str = RTP_INFO, **replies: list[str]) -> None:
        self.sdp = sdp
        self.rtp_info = rtp_info
        self.replies = replies
        self.requests: list[tuple[str, str, dict[str, str]]] = []

    def answer(self, data: bytes) -> bytes:
        out = b""
        for text in data.decode("latin-1").split("\r\n\r\n")[:-1]:
            lines = text.split("\r\n")
            method, url, _ = lines[0].split(" ")
            headers = dict(line.split(": ", 1) for line in lines[1:])
            self.requests.append((method, url, headers))
            scripted = self.replies.get(method)
            reply = scripted.pop(0) if scripted else self.usual(method, headers)
            status, _, rest = reply.partition("\r\n")
            out += f"RTSP/1.0 {status}\r\nCSeq: {headers['CSeq']}\r\n{rest}".encode()
            if "\r\n\r\n" not in reply:
                out += b"\r\n"
        return out

    def usual(self, method: str, headers: dict[str, str]) -> str:
        if method == "OPTIONS":
            return "200 OK\r\nPublic: DESCRIBE, SETUP, PLAY, GET_PARAMETER\r\n"
        if method == "DESCRIBE":
            return (
                f"200 OK\r\nContent-Base: {URL}/\r\nContent-Type: application/sdp\r\n"
                f"Content-Length: {len(self.sdp)}\r\n\r\n{self.sdp}"
            )
        if method == "SETUP":
            return f"200 OK\r\nTransport: {headers['Transport']}\r\nSession: 42;timeout=30\r\n"
        if method == "PLAY":
            return f"200 OK\r\nSession: 42\r\nRTP-Info: {self.rtp_info}\r\n"
        return "200 OK\r\n"

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.requests]


def converse(parser: RtspPlay, server: Server) -> list:
    """Let both talk until neither says anything."""
    events = []
    while data := parser.data_to_send():
        reply = server.answer(data)
        if reply:
            events += parser.receive(reply)
    return events


def framed(channel: int, data: bytes) -> bytes:
    return bytes([0x24, channel]) + len(data).to_bytes(2, "big") + data


def picture(sequence: int, ticks: int, nal: bytes = IDR) -> bytes:
    return framed(0, rtp(sequence, ticks, nal, marker=True))


def sound(sequence: int, ticks: int) -> bytes:
    return framed(2, rtp(sequence, ticks, aac_payload(b"aac"), kind=97, ssrc=7))


def playing(**arguments) -> RtspPlay:
    parser = RtspPlay(URL)
    converse(parser, Server(**arguments))
    return parser
