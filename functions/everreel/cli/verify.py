"""`everreel verify`: tells whether a recording is whole, for people, for programs, as a picture."""

import argparse
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from everreel.cli.report import Style, render
from everreel.errors import InvalidRequest, RecordingNotFound
from everreel.sealing.picture import timeline
from everreel.sealing.verify import verify
from everreel.sealing.verify_report import Report, Trouble
from everreel.store.disk import DiskStore
from everreel.store.ports import ObjectStore

_PATIENCE_S = 0.5
LINE_S = 10.0
"""Between two lines of progress where there is no terminal."""
_BAR = 32


def verify_recording(arguments: argparse.Namespace) -> int:
    """Verify and report; return the exit status: 0 whole, 1 problems found, 2 asked wrongly."""
    try:
        store = _store(arguments.recording, arguments.endpoint_url)
        with _Bar() as bar:
            report = verify(store, "", bar.show, deep=arguments.deep)
    except (InvalidRequest, RecordingNotFound) as error:
        print(f"everreel: {error.code}: {arguments.recording}: {error.message}", file=sys.stderr)
        return 2
    if arguments.chain is not None:
        _hold_chain(report, arguments.chain.strip().lower())
    if not (_draw(report, "--svg", arguments.svg) and _draw(report, "--png", arguments.png)):
        return 2
    if arguments.json:
        print(json.dumps(report.document(), indent=1))
    else:
        print(render(report, arguments.recording, Style(colours=sys.stdout.isatty())), end="")
    return 0 if report.whole else 1


def _store(place: str, endpoint_url: str) -> ObjectStore:
    """Open the store that holds the recording alone.

    Raises: InvalidRequest if nothing can be there.
    """
    if "://" not in place:
        if not Path(place).is_dir():
            raise InvalidRequest("there is no such folder", field="recording")
        return DiskStore(Path(place))
    url = urlsplit(place)
    prefix = url.path.strip("/")
    if url.scheme != "s3" or not url.netloc or not prefix:
        raise InvalidRequest("name a folder, or s3://bucket/prefix/channel/sid/", field="recording")
    from everreel.store.s3 import S3Access, S3Store

    return S3Store(url.netloc, prefix, access=S3Access(endpoint_url=endpoint_url))


def _hold_chain(report: Report, kept: str) -> None:
    """Hold the recording against a link that was kept where nobody could change both."""
    if kept != report.chain:
        text = f"ends in {report.chain or 'no link, it is not sealed'}, you kept {kept}"
        report.problem(Trouble.CHAIN, "recording.json", text)


def _draw(report: Report, option: str, file: Path | None) -> bool:
    if file is None:
        return True
    try:
        picture = timeline(report).encode()
        if option == "--png":
            from everreel.codecs.rasterise import png

            picture = png(picture)
        file.write_bytes(picture)
    except ImportError:
        print(f"everreel: {option} needs Pillow: pip install pillow", file=sys.stderr)
        return False
    except OSError as error:
        print(f"everreel: {option} {file}: {error.strerror}", file=sys.stderr)
        return False
    return True


class _Bar:
    """Progress of what takes long: a bar on a terminal, elsewhere a line now and then."""

    def __init__(self) -> None:
        self._shown = False
        self._terminal = sys.stderr.isatty()
        self._begun_s = self._last_s = time.monotonic()

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def show(self, done: int, total: int) -> None:
        """Draw the bar, a few times a second at most, or write a line."""
        now_s = time.monotonic()
        if not self._terminal:
            if now_s - self._last_s >= LINE_S:
                self._last_s = now_s
                print(f"{done} of {total} segments read", file=sys.stderr, flush=True)
            return
        if now_s - self._begun_s < _PATIENCE_S or now_s - self._last_s < 0.1:
            return
        self._last_s, self._shown = now_s, True
        filled = _BAR * done // total
        left_s = (now_s - self._begun_s) / done * (total - done)
        print(
            f"\r  {'━' * filled}{'┄' * (_BAR - filled)} {done} of {total} segments, "
            f"{left_s:.0f} s left\x1b[K",
            end="",
            file=sys.stderr,
            flush=True,
        )
