"""Draws the demo's picture: a running clock, a frame counter, a sweep and a flash each second.

Everything that never changes is drawn once; a frame copies ready-made characters into the planes of
a YUV 4:2:0 picture, so that drawing costs a fraction of encoding.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Plane = NDArray[np.uint8]

WIDTH, HEIGHT = 1280, 720
FLASH_US = 120_000
"""How long the flash (and the beep) lasts at the start of each second."""

# The flash fills this part; text and sweep keep to the rest, so that both are easy to measure.
_FLASH_WIDTH = 560
_MARGIN = 40
_TEXT_LEFT = _FLASH_WIDTH + _MARGIN
_TEXT_WIDTH = WIDTH - _TEXT_LEFT - _MARGIN
_CLOCK_TOP, _CLOCK_SIZE = 190, 108
_FRAME_TOP, _FRAME_SIZE = 360, 56
_SWEEP_TOP, _SWEEP_HEIGHT, _SWEEP_WIDTH = 560, 72, 72

# Limited-range luma, and chroma as (Cb, Cr). Source: ITU-R BT.601.
_WHITE, _INK, _PANEL = 235, 225, 28
_NEUTRAL = 128
_BLUE, _ORANGE = (150, 112), (70, 190)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow: the same on every machine."""
    return ImageFont.load_default(size)


class Characters:
    """Digits and signs as tiles of one width, black text on a dark ground turned to luma."""

    def __init__(self, size: int, ground: int, characters: str = "0123456789:. ") -> None:
        """Draw the tiles; `size` is the font's, in pixels."""
        font = _font(size)
        self.width = max(round(font.getlength(digit)) for digit in "0123456789") + size // 24
        self.height = size + size // 6
        self._tiles = {sign: self._tile(sign, font, ground) for sign in characters}

    def _tile(
        self, sign: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, ground: int
    ) -> Plane:
        narrow = sign in ":."
        image = Image.new("L", (self.width // 2 if narrow else self.width, self.height), ground)
        place = (image.width / 2, 0)
        ImageDraw.Draw(image).text(place, sign, fill=_INK, font=font, anchor="ma")
        return np.asarray(image)

    def put(self, luma: Plane, text: str, left: int, top: int) -> None:
        """Write `text` into a luma plane."""
        for sign in text:
            tile = self._tiles[sign]
            luma[top : top + self.height, left : left + tile.shape[1]] = tile
            left += tile.shape[1]


class Picture:
    """One picture that is drawn over and over.

    Attributes:
        planes: Y above, Cb and Cr below it, as `av.VideoFrame.from_ndarray` takes yuv420p.
    """

    def __init__(self, fps: int) -> None:
        """Prepare everything that stays."""
        self.planes: Plane = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
        self._luma = self.planes[:HEIGHT]
        chroma = self.planes[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
        self._cb, self._cr = chroma[0], chroma[1]
        self._fps = fps
        self._clock = Characters(_CLOCK_SIZE, _PANEL)
        self._count = Characters(_FRAME_SIZE, _PANEL)
        self._draw_ground()
        self._quiet = self._flash_area()
        self._sweep_ground = self._sweep_area()

    def draw(self, number: int, utc_us: int) -> Plane:
        """Draw frame `number`, which is shown at `utc_us`; returns `planes`."""
        moment = datetime.fromtimestamp(utc_us // 1_000_000, UTC)
        hundredths = utc_us % 1_000_000 // 10_000
        text = f"{moment:%H:%M:%S}.{hundredths:02d}"
        self._clock.put(self._luma, text, _TEXT_LEFT, _CLOCK_TOP)
        left = _TEXT_LEFT + 200
        self._count.put(self._luma, f"{number:08d}", left, _FRAME_TOP)
        self._draw_sweep(utc_us % 2_000_000)
        self._draw_flash(on=utc_us % 1_000_000 < FLASH_US)
        return self.planes

    # ------------------------------------------------------------------ what moves

    def _draw_flash(self, *, on: bool) -> None:
        for part, quiet in zip(self._flash_parts(), self._quiet, strict=True):
            part[:] = quiet
        if on:
            luma, cb, cr = self._flash_parts()
            luma[:] = _WHITE
            cb[:] = cr[:] = _NEUTRAL

    def _draw_sweep(self, phase_us: int) -> None:
        """Move a block there and back within two seconds."""
        way = abs(phase_us - 1_000_000) / 1_000_000
        left = _TEXT_LEFT + round((_TEXT_WIDTH - _SWEEP_WIDTH) * (1 - way)) // 2 * 2
        for part, ground in zip(self._sweep_parts(), self._sweep_ground, strict=True):
            part[:] = ground
        rows = slice(_SWEEP_TOP, _SWEEP_TOP + _SWEEP_HEIGHT)
        self._luma[rows, left : left + _SWEEP_WIDTH] = 170
        half = slice(_SWEEP_TOP // 2, (_SWEEP_TOP + _SWEEP_HEIGHT) // 2)
        columns = slice(left // 2, (left + _SWEEP_WIDTH) // 2)
        self._cb[half, columns], self._cr[half, columns] = _ORANGE

    # ------------------------------------------------------------------ what stays

    def _draw_ground(self) -> None:
        shade = np.linspace(34, 58, HEIGHT, dtype=np.uint8)[:, np.newaxis]
        self._luma[:] = shade
        self._cb[:], self._cr[:] = _BLUE
        self._luma[:, _FLASH_WIDTH:] = _PANEL
        self._cb[:, _FLASH_WIDTH // 2 :] = self._cr[:, _FLASH_WIDTH // 2 :] = _NEUTRAL
        image = Image.fromarray(self._luma)
        draw = ImageDraw.Draw(image)
        draw.text((_MARGIN, 250), "everreel", fill=_WHITE, font=_font(118))
        draw.text((_MARGIN + 4, 400), "each second: flash + 1 kHz", fill=170, font=_font(34))
        draw.text((_TEXT_LEFT, 130), "UTC", fill=150, font=_font(40))
        draw.text((_TEXT_LEFT, _FRAME_TOP), "frame", fill=150, font=_font(_FRAME_SIZE))
        about = f"{WIDTH} x {HEIGHT}  {self._fps} fps  H.264 + AAC 48 kHz"
        draw.text((_TEXT_LEFT, 460), about, fill=150, font=_font(28))
        bottom = _SWEEP_TOP + _SWEEP_HEIGHT + 8
        draw.rectangle((_TEXT_LEFT, bottom, _TEXT_LEFT + _TEXT_WIDTH, bottom + 3), fill=90)
        self._luma[:] = np.asarray(image)

    def _flash_parts(self) -> Sequence[Plane]:
        half = _FLASH_WIDTH // 2
        return self._luma[:, :_FLASH_WIDTH], self._cb[:, :half], self._cr[:, :half]

    def _flash_area(self) -> Sequence[Plane]:
        return [part.copy() for part in self._flash_parts()]

    def _sweep_parts(self) -> Sequence[Plane]:
        rows = slice(_SWEEP_TOP, _SWEEP_TOP + _SWEEP_HEIGHT)
        half = slice(_SWEEP_TOP // 2, (_SWEEP_TOP + _SWEEP_HEIGHT) // 2)
        columns = slice(_TEXT_LEFT, _TEXT_LEFT + _TEXT_WIDTH)
        thin = slice(_TEXT_LEFT // 2, (_TEXT_LEFT + _TEXT_WIDTH) // 2)
        return self._luma[rows, columns], self._cb[half, thin], self._cr[half, thin]

    def _sweep_area(self) -> Sequence[Plane]:
        return [part.copy() for part in self._sweep_parts()]


def flash_is_on(luma: Plane) -> bool:
    """Tell whether the flash is on in a decoded picture's luma plane.

    Looks at a corner of the flash area that no text reaches; any size of the same shape will do.
    """
    height, width = luma.shape
    corner = luma[height // 16 : height // 4, width // 16 : width * 3 // 8]
    return bool(corner.mean() > 180)
