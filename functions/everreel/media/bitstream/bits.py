"""Reads the bits of a parameter set."""

from everreel.errors import SourceMalformed


class Bits:
    """A cursor over the bits of a short byte string; reading past its end is an error.

    Made for headers of some dozen bytes: the whole string is held as one integer.
    """

    __slots__ = ("_left", "_value", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        """Start at the first bit of `data`; `what` names it in error messages."""
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)
        self._what = what

    @property
    def left(self) -> int:
        """Tell how many bits have not been read."""
        return self._left

    def u(self, count: int) -> int:
        """Read `count` bits as an unsigned number."""
        if count > self._left:
            raise SourceMalformed(f"{self._what} is shorter than its fields say")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def peek(self, count: int) -> int:
        """Look at the next `count` bits, all of which must be there."""
        value = self.u(count)
        self._left += count
        return value

    def skip(self, count: int) -> None:
        """Pass over `count` bits."""
        if count > self._left:
            raise SourceMalformed(f"{self._what} is shorter than its fields say")
        self._left -= count

    def ue(self) -> int:
        """Read an unsigned Exp-Golomb code of at most 32 bits.

        Source: ISO/IEC 14496-10 §9.1.
        """
        rest = self._value & ((1 << self._left) - 1)
        zeros = self._left - rest.bit_length()
        if zeros > 32:
            raise SourceMalformed(f"{self._what} holds an Exp-Golomb code longer than 32 bits")
        self.skip(zeros)
        return self.u(zeros + 1) - 1

    def se(self) -> int:
        """Read a signed Exp-Golomb code. Source: ISO/IEC 14496-10 §9.1.1."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def without_emulation_prevention(nal: bytes) -> bytes:
    """Turn a NAL unit into its raw payload. Source: ISO/IEC 14496-10 §7.4.1.1."""
    return nal.replace(b"\x00\x00\x03", b"\x00\x00")
