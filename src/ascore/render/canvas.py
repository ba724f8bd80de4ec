"""A drawing surface with smooth shapes and sharp text, and one palette for all pictures.

Lengths are pixels of the finished picture, integers or floats; x points right and y down.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Colour: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[float, float]

# Shapes are drawn larger by this factor and averaged down, which makes their edges smooth.
OVERSAMPLING = 2

PAPER: Colour = (255, 255, 255)
INK: Colour = (32, 36, 40)
QUIET: Colour = (104, 110, 118)
LINE: Colour = (210, 214, 219)

# Okabe-Ito palette, for colour-blind readers; agent i has colour i mod 7 and shows its number.
AGENT_COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)

# Colours of the environments. Grounds are light, so that agents and things stand out.
FLOOR: Colour = (246, 245, 241)
WALL: Colour = (88, 92, 99)
RIVER: Colour = (183, 214, 240)
STREAM: Colour = (219, 239, 247)
ORCHARD: Colour = (221, 238, 205)
WASTE: Colour = (105, 66, 27)
APPLE: Colour = (190, 22, 40)
STEM: Colour = (60, 84, 40)
BEAM: Colour = (255, 196, 0)
FIRE: Colour = (226, 71, 56)
THINGS = (FLOOR, WALL, RIVER, STREAM, ORCHARD, WASTE, APPLE, STEM, BEAM, FIRE)


def agent_colour(agent: int) -> Colour:
    """Colour of an agent and of the things it owns."""
    return AGENT_COLOURS[agent % len(AGENT_COLOURS)]


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Mixes two colours; `share` in 0..1 is the share of `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def readable_on(ground: Colour) -> Colour:
    """INK or PAPER, whichever is more readable on this ground (luminance by ITU-R BT.709)."""
    luminance = 0.2126 * ground[0] + 0.7152 * ground[1] + 0.0722 * ground[2]
    return INK if luminance > 110 else PAPER


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in font, so that pictures look the same on every machine."""
    default = ImageFont.load_default(size)
    if not isinstance(default, ImageFont.FreeTypeFont):
        message = "this Pillow was built without FreeType; pip install --force-reinstall pillow"
        raise ImportError(message, name="PIL")
    return default


def text_width(text: str, size: int) -> float:
    """Width of a line of text in pixels."""
    return font(size).getlength(text)


class Canvas:
    """A picture being drawn; `image` finishes it."""

    def __init__(self, width: int, height: int, ground: Colour = PAPER) -> None:
        self.width, self.height = width, height
        self._large = Image.new("RGB", (width * OVERSAMPLING, height * OVERSAMPLING), ground)
        self._draw = ImageDraw.Draw(self._large)
        self._texts: list[tuple[Point, str, int, Colour, str]] = []

    def rectangle(
        self,
        left: float,
        top: float,
        width: float,
        height: float,
        fill: Colour | None,
        edge: Colour | None = None,
        edge_width: float = 1,
        radius: float = 0,
    ) -> None:
        """Draws a filled or framed rectangle; `radius` rounds its corners."""
        s = OVERSAMPLING
        # Pillow includes the right and lower edge, so abutting rectangles end one pixel earlier.
        corners = (left * s, top * s, (left + width) * s - 1, (top + height) * s - 1)
        line = round(edge_width * s) if edge else 0
        self._draw.rounded_rectangle(corners, radius * s, fill, edge, line)

    def disc(
        self, x: float, y: float, radius: float, fill: Colour, edge: Colour | None = None
    ) -> None:
        """Draws a disc around (x, y), with an edge of one pixel if `edge` is given."""
        s = OVERSAMPLING
        box = ((x - radius) * s, (y - radius) * s, (x + radius) * s, (y + radius) * s)
        self._draw.ellipse(box, fill, edge, s if edge else 0)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """Draws a filled polygon."""
        self._draw.polygon([(x * OVERSAMPLING, y * OVERSAMPLING) for x, y in points], fill)

    def line(self, points: Sequence[Point], colour: Colour, width: float = 1) -> None:
        """Draws connected straight lines."""
        scaled = [(x * OVERSAMPLING, y * OVERSAMPLING) for x, y in points]
        self._draw.line(scaled, colour, max(1, round(width * OVERSAMPLING)), joint="curve")

    def text(
        self, x: float, y: float, text: str, size: int, colour: Colour = INK, anchor: str = "lm"
    ) -> None:
        """Draws text above all shapes; `anchor` as in Pillow: "lm" starts at x, centred on y."""
        self._texts.append(((x, y), text, size, colour, anchor))

    def image(self) -> Image.Image:
        """The finished RGB picture."""
        small = self._large.reduce(OVERSAMPLING)
        draw = ImageDraw.Draw(small)
        for at, text, size, colour, anchor in self._texts:
            draw.text(at, text, colour, font(size), anchor)
        return small


@functools.cache
def palette() -> npt.NDArray[np.uint8]:
    """The colours of all pictures, u8 [K, 3] with K below 256: one table for all frames.

    Smooth edges mix two adjacent colours; mixtures with paper and ink look close enough.
    """
    plain = [PAPER, INK, QUIET, LINE, *THINGS, *AGENT_COLOURS]
    shades = [mix(INK, PAPER, k / 12) for k in range(1, 12)]
    lighter = [mix(colour, PAPER, k / 4) for colour in plain[2:] for k in (1, 2, 3)]
    darker = [mix(colour, INK, k / 3) for colour in plain[2:] for k in (1, 2)]
    return np.array(list(dict.fromkeys([*plain, *shades, *lighter, *darker])), np.uint8)


# Index into the palette by 24-bit colour, filled as colours occur. Pillow's own search for the
# nearest colour is coarse and turns white paper grey.
_UNKNOWN = 255


@functools.cache
def _nearest() -> npt.NDArray[np.uint8]:
    return np.full(1 << 24, _UNKNOWN, np.uint8)


def to_palette(image: Image.Image) -> Image.Image:
    """Converts an RGB picture to the nearest colours of `palette`."""
    rgb = np.asarray(image).astype(np.uint32)
    code = rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
    nearest = _nearest()
    index = nearest[code]
    if (index == _UNKNOWN).any():
        new = np.unique(code[index == _UNKNOWN])
        colours = np.stack([new >> 16, new >> 8 & 255, new & 255], axis=-1).astype(np.int64)
        distance = ((colours[:, None] - palette().astype(np.int64)) ** 2).sum(axis=-1)
        nearest[new] = distance.argmin(axis=-1)
        index = nearest[code]
    indexed = Image.frombytes("P", image.size, index.tobytes())
    indexed.putpalette(palette().tobytes())
    return indexed
