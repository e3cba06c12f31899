"""Keeps the parameter sets of one video track and tells when they change."""

from collections.abc import Iterable

from everreel.media.access_unit import Codec
from everreel.media.bitstream import h264, h265


class ParameterSets:
    """The current VPS, SPS and PPS by number, from a configuration record, SDP or in-band.

    A set replaces the one of the same kind and number; a whole new sequence (a changed SPS with
    everything that belongs to it) replaces all. Bounded by the standards' highest numbers.
    """

    __slots__ = ("_config", "_h264", "_kinds", "_seen")

    def __init__(self, codec: Codec) -> None:
        """Start with none; `codec` is H264 or H265."""
        self._h264 = codec is Codec.H264
        self._kinds = (h264.SPS, h264.PPS) if self._h264 else (h265.VPS, h265.SPS, h265.PPS)
        self._seen: dict[tuple[int, int], bytes] = {}
        self._config = b""

    @property
    def config(self) -> bytes:
        """Give the avcC or hvcC, empty as long as a kind of set is missing."""
        return self._config

    def update(self, nals: Iterable[bytes]) -> bool:
        """Take parameter sets; tell whether `config` is new.

        Raises: SourceMalformed if one cannot be read.
        """
        sets = {self._key(nal): nal for nal in nals}
        changed = {key for key, nal in sets.items() if self._seen.get(key) != nal}
        if not changed:
            return False
        sps = h264.SPS if self._h264 else h265.SPS
        if any(kind == sps for kind, _ in changed) and {kind for kind, _ in sets} == set(
            self._kinds
        ):
            self._seen.clear()  # a new sequence came whole: nothing of the old one is meant
        self._seen.update(sets)
        lists = [
            [nal for (kind, _), nal in sorted(self._seen.items()) if kind == wanted]
            for wanted in self._kinds
        ]
        if not all(lists):
            return False
        config = h264.avcc(*lists) if self._h264 else h265.hvcc(*lists)
        is_new = config != self._config
        self._config = config
        return is_new

    def _key(self, nal: bytes) -> tuple[int, int]:
        if not self._h264:
            return h265.nal_type(nal), h265.set_id(nal)
        kind = nal[0] & 31
        return kind, h264.parse_sps(nal).sps_id if kind == h264.SPS else h264.pps_id(nal)
