"""Serves one live stream to any number of subscribers over HTTP-FLV.

Whoever joins gets the decoder configurations and everything since the last keyframe at once;
whoever cannot keep up is let go, so that nobody else waits and memory stays bounded.
"""

import threading
from collections import deque
from http import HTTPStatus

from infra.local.publisher_flv import HEADER, Tag
from infra.local.serving import Quiet, Serving

PATH = "/live/demo.flv"
LONGEST_BACKLOG = 2 * 1024 * 1024
"""Bytes that may wait for one subscriber: some 20 s of the demo's stream."""
SEND_SECONDS = 10.0


class Subscriber:
    """One subscriber's backlog.

    Attributes:
        dropped: it was too slow.
    """

    def __init__(self, limit: int) -> None:
        """Begin with nothing to send; at most `limit` bytes may wait."""
        self.dropped = False
        self._limit = limit
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self._news = threading.Condition()

    def offer(self, data: bytes) -> bool:
        """Queue data; False if the backlog is too long, which ends the subscription."""
        with self._news:
            if self._size + len(data) > self._limit:
                self.dropped = self._closed = True
                self._waiting.clear()
            else:
                self._waiting.append(data)
                self._size += len(data)
            self._news.notify()
            return not self.dropped

    def take(self) -> bytes:
        """Wait for data and take all there is; empty at the end."""
        with self._news:
            while not self._waiting and not self._closed:
                self._news.wait()
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._size = 0
            return data

    def close(self) -> None:
        """Let it end after what is queued."""
        with self._news:
            self._closed = True
            self._news.notify()


class Broadcast:
    """Hands each tag to every subscriber and keeps what newcomers need."""

    def __init__(self, heads: tuple[Tag, ...], *, limit: int = LONGEST_BACKLOG) -> None:
        """Begin a stream with these first tags."""
        self._start = HEADER + b"".join(tag.body for tag in heads)
        self._limit = limit
        self._since_keyframe: list[bytes] = []
        self._subscribers: set[Subscriber] = set()
        self._ended = False
        self._turn = threading.Lock()

    @property
    def subscribers(self) -> int:
        """How many there are now."""
        with self._turn:
            return len(self._subscribers)

    def publish(self, tag: Tag) -> None:
        """Send a tag to everybody."""
        with self._turn:
            if tag.keyframe:
                self._since_keyframe = [tag.body]
            elif self._since_keyframe:
                self._since_keyframe.append(tag.body)
            self._subscribers = {each for each in self._subscribers if each.offer(tag.body)}

    def join(self) -> Subscriber:
        """Add a subscriber, who begins at the last keyframe."""
        newcomer = Subscriber(self._limit)
        with self._turn:
            newcomer.offer(self._start + b"".join(self._since_keyframe))
            if self._ended:
                newcomer.close()
            else:
                self._subscribers.add(newcomer)
        return newcomer

    def leave(self, subscriber: Subscriber) -> None:
        """Remove a subscriber."""
        with self._turn:
            self._subscribers.discard(subscriber)

    def end(self) -> None:
        """End the stream for all, after what is queued."""
        with self._turn:
            self._ended = True
            for each in self._subscribers:
                each.close()
            self._subscribers.clear()


class _Request(Quiet):
    """Answers one subscriber for as long as it stays."""

    server_version = "everreel-demo"
    timeout = SEND_SECONDS
    broadcast: Broadcast

    def do_HEAD(self) -> None:
        """Say what a GET would give."""
        self._begin()

    def do_GET(self) -> None:
        """Send the live stream until either side ends it."""
        if not self._begin():
            return
        subscriber = self.broadcast.join()
        try:
            while data := subscriber.take():
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
            # A subscriber that was dropped gets no proper end: it must notice that it lost data.
            if self._chunked and not subscriber.dropped:
                self.wfile.write(b"0\r\n\r\n")
        except (ConnectionError, TimeoutError):
            self.log_message("subscriber gone")
        finally:
            self.broadcast.leave(subscriber)

    @property
    def _chunked(self) -> bool:
        return self.request_version != "HTTP/1.0"

    def _begin(self) -> bool:
        self.close_connection = True
        if self.path.partition("?")[0] != PATH:
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"the stream is at {PATH}")
            return False
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "video/x-flv")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Connection", "close")
        if self._chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        return True


class FlvServer(Serving):
    """An HTTP server on 127.0.0.1 for one broadcast, which ends with it."""

    def __init__(self, broadcast: Broadcast, port: int = 0) -> None:
        """Take the port, 0 for a free one; requests are answered once it is entered."""
        super().__init__(_Request, port, broadcast=broadcast)
        self._broadcast = broadcast
        self.url += PATH

    def __exit__(self, *_: object) -> None:
        self._broadcast.end()
        super().__exit__()
