"""TLS on a non-blocking socket; imported only when an endpoint asks for it: `ssl` is not free."""

import select
import socket
import ssl
from functools import cache

from everreel.errors import SourceUnreachable

# One TLS record: more is never returned by one call.
_RECORD = 16384


@cache
def default_context() -> ssl.SSLContext:
    """Make the verifying client context, once: reading the certificate store takes a while."""
    return ssl.create_default_context()


class TlsStream:
    """A socket wrapped in TLS whose calls never wait."""

    def __init__(self, plain: socket.socket, host: str, context: ssl.SSLContext | None) -> None:
        self._host = host
        self.socket: ssl.SSLSocket = (context or default_context()).wrap_socket(
            plain, server_hostname=host, do_handshake_on_connect=False
        )

    def handshake(self) -> int:
        """Take the handshake as far as it goes now.

        Returns: 0 when it is done, else the poll event it waits for.
        Raises: SourceUnreachable if the peer speaks no TLS or its certificate is not for the host.
        """
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            return select.POLLIN
        except ssl.SSLWantWriteError:
            return select.POLLOUT
        except ssl.SSLCertVerificationError as error:
            raise SourceUnreachable(
                f"the TLS certificate of {self._host!r} is not valid: {error.verify_message}"
            ) from error
        except (OSError, ValueError) as error:
            raise SourceUnreachable(
                f"no TLS with {self._host!r}: check that the port speaks TLS"
            ) from error
        return 0

    def read(self) -> bytes | None:
        """Return at most one record, b"" at the end, None if nothing has arrived.

        Raises: OSError.
        """
        try:
            return self.socket.recv(_RECORD)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def write(self, data: bytes | bytearray) -> int:
        """Send what the socket takes now; return how many bytes it took.

        Raises: OSError.
        """
        try:
            return self.socket.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
