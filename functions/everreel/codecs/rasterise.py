"""Turns the SVG that `sealing.picture` draws into PNG: the few shapes that it has, no others."""

import io
import re
from typing import Any
from xml.etree import ElementTree

from PIL import Image, ImageColor, ImageDraw, ImageFont

from everreel.errors import ServiceFault

SCALE = 2
"""Pixels of the PNG for one of the SVG, so that small words stay readable."""

_SPACE = "{http://www.w3.org/2000/svg}"
_NUMBER = re.compile(r"-?[0-9.]+")
_INK, _PALE, _RED, _WHITE = "#1c2733", "#667788", "#d12f2f", "#ffffff"
_STYLES = {"h": (20, _INK), "p": (13, _PALE), "r": (12, _RED), "w": (12, _WHITE)}
_ANCHORS = {"m": "ms", "e": "rs"}
_HATCH_STEP, _HATCH_WIDTH, _HATCH_GROUND = 7, 2.5, "#fbdcdc"


def png(svg: bytes) -> bytes:
    """Draw a picture of `sealing.picture.timeline`.

    Raises: ServiceFault if it holds a shape that is not one of its.
    """
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own, made a moment ago
    size = round(_of(root, "width") * SCALE), round(_of(root, "height") * SCALE)
    image = Image.new("RGB", size, _WHITE)
    drawing = _Drawing(image)
    for shape in root:
        drawing.add(shape)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


class _Drawing:
    """The image in the making."""

    def __init__(self, image: Image.Image) -> None:
        self._image = image
        self._pen = ImageDraw.Draw(image)

    def add(self, shape: Any) -> None:
        """Draw one shape."""
        match shape.tag.removeprefix(_SPACE):
            case "rect":
                self._rect(shape)
            case "line":
                ends = [_of(shape, name) * SCALE for name in ("x1", "y1", "x2", "y2")]
                self._pen.line(ends, fill=shape.get("stroke"), width=1)
            case "path":
                self._triangle(shape)
            case "text":
                self._text(shape)
            case "title" | "style" | "defs":
                pass
            case other:
                raise ServiceFault(f"the timeline holds a {other}, which nobody taught us to draw")

    def _rect(self, shape: Any) -> None:
        x, y, width, height = (_of(shape, name) * SCALE for name in ("x", "y", "width", "height"))
        corners = (x, y, max(x + width - 1, x), max(y + height - 1, y))
        if shape.get("fill") == "url(#gap)":
            self._hatched(corners)
        else:
            radius = _of(shape, "rx") * SCALE
            self._pen.rounded_rectangle(corners, radius, fill=shape.get("fill"))

    def _hatched(self, corners: tuple[float, float, float, float]) -> None:
        left, top, right, bottom = (round(each) for each in corners)
        patch = Image.new("RGB", (right - left + 1, bottom - top + 1), _HATCH_GROUND)
        pen, step = ImageDraw.Draw(patch), _HATCH_STEP * SCALE
        for start in range(-patch.height, patch.width, step):
            ends = (start, patch.height, start + patch.height, 0)
            pen.line(ends, fill=_RED, width=round(_HATCH_WIDTH * SCALE * 0.7))
        self._image.paste(patch, (left, top))
        self._pen.rectangle((left, top, right, bottom), outline=_RED)

    def _triangle(self, shape: Any) -> None:
        x, y, width, across, down = (float(n) for n in _NUMBER.findall(shape.get("d")))
        points = [(x, y), (x + width, y), (x + width + across, y + down)]
        self._pen.polygon([(a * SCALE, b * SCALE) for a, b in points], fill=shape.get("fill"))

    def _text(self, shape: Any) -> None:
        kinds = (shape.get("class") or "").split()
        size, colour = next((_STYLES[kind] for kind in kinds if kind in _STYLES), (13, _INK))
        anchor = next((_ANCHORS[kind] for kind in kinds if kind in _ANCHORS), "ls")
        self._pen.text(
            (_of(shape, "x") * SCALE, _of(shape, "y") * SCALE),
            shape.text or "",
            fill=ImageColor.getrgb(colour),
            font=ImageFont.load_default(size * SCALE),
            anchor=anchor,
        )


def _of(shape: Any, name: str) -> float:
    return float(shape.get(name, 0))
