"""A small canvas with smooth edges. Coordinates are those of the finished picture.

Everything is drawn larger and scaled down at the end. It draws no text, since fonts differ between machines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from PIL import Image, ImageDraw

Colour = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]

_SCALE = 4


class Canvas:
    """A picture of ``width`` x ``height`` pixels, transparent until something is drawn."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._image = Image.new("RGBA", (width * _SCALE, height * _SCALE), (0, 0, 0, 0))

    def sky(self, top: Colour, bottom: Colour) -> None:
        """Fill the whole picture with a gradient."""
        draw = ImageDraw.Draw(self._image)
        height = self._image.height
        for y in range(height):
            mixed = tuple(round(a + (b - a) * y / height) for a, b in zip(top[:3], bottom[:3], strict=True))
            draw.line((0, y, self._image.width, y), fill=mixed)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour, radius: float = 0) -> None:
        """Draw a rectangle from its upper left corner, with round corners if ``radius`` is given."""
        corners = (x * _SCALE, y * _SCALE, (x + width) * _SCALE - 1, (y + height) * _SCALE - 1)
        with self._drawn(colour) as draw:
            draw.rounded_rectangle(corners, radius * _SCALE, fill=colour)

    def oval(self, x: float, y: float, x_radius: float, y_radius: float, colour: Colour) -> None:
        """Draw an ellipse around its centre."""
        corners = ((x - x_radius) * _SCALE, (y - y_radius) * _SCALE, (x + x_radius) * _SCALE, (y + y_radius) * _SCALE)
        with self._drawn(colour) as draw:
            draw.ellipse(corners, fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a circle around its centre."""
        self.oval(x, y, radius, radius, colour)

    def ball(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a circle with a shadow on the ground and a highlight."""
        self.oval(x, y + radius, radius * 0.95, radius * 0.16, (0, 0, 0, 50))
        self.disc(x, y, radius, colour)
        self.disc(x - radius * 0.35, y - radius * 0.35, radius * 0.28, (255, 255, 255, 110))

    def shape(self, points: Sequence[Point], colour: Colour) -> None:
        """Draw a filled polygon."""
        with self._drawn(colour) as draw:
            draw.polygon([(x * _SCALE, y * _SCALE) for x, y in points], fill=colour)

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line through the points, with round ends and bends."""
        scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
        radius = width * _SCALE / 2
        with self._drawn(colour) as draw:
            draw.line(scaled, fill=colour, width=round(width * _SCALE))
            for x, y in scaled:
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def transparent(self) -> Image.Image:
        """The finished picture as RGBA."""
        return self._image.resize((self.width, self.height), Image.Resampling.BOX)

    def opaque(self) -> Image.Image:
        """The finished picture as RGB, on white."""
        ground = Image.new("RGBA", self._image.size, (255, 255, 255, 255))
        ground.alpha_composite(self._image)
        return ground.resize((self.width, self.height), Image.Resampling.BOX).convert("RGB")

    @contextmanager
    def _drawn(self, colour: Colour) -> Iterator[ImageDraw.ImageDraw]:
        """What to draw on: for a transparent colour a layer, since it would replace the pixels, not blend."""
        if len(colour) == 3 or colour[3] == 255:
            yield ImageDraw.Draw(self._image)
            return
        layer = Image.new("RGBA", self._image.size, (0, 0, 0, 0))
        yield ImageDraw.Draw(layer)
        self._image.alpha_composite(layer)
