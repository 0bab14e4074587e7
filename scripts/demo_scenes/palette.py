"""What several scenes draw with: the colours, and a person."""

from __future__ import annotations

from typing import Protocol

from scripts.demo_canvas import Canvas, Colour, Point

WHITE: Colour = (250, 250, 248)
INK: Colour = (58, 56, 66)
WOOD: Colour = (168, 116, 72)
DARK_WOOD: Colour = (128, 84, 50)
RED: Colour = (214, 64, 58)
BLUE: Colour = (58, 116, 204)
GREEN: Colour = (82, 160, 84)
YELLOW: Colour = (242, 194, 62)
ORANGE: Colour = (236, 138, 54)
PURPLE: Colour = (140, 96, 184)
SKIN: Colour = (238, 196, 160)
GRASS: Colour = (126, 184, 92)
STONE: Colour = (186, 186, 192)
GLASS: Colour = (150, 205, 230, 150)
WATER: Colour = (70, 150, 214, 170)
NAVY: Colour = (70, 76, 104)


class Drawing(Protocol):
    """Draws a scene: the source of its pair, or with ``edited`` the edit that the instruction asks for."""

    def __call__(self, *, edited: bool = False) -> Canvas: ...


def person(board: Canvas, x: float, ground: float, colour: Colour, hair: Colour, hands: tuple[Point, Point]) -> None:
    """A standing person, 120 pixels tall; ``hands`` are the positions of the hands, from between the shoulders."""
    for side in (-1, 1):
        board.line([(x + side * 8, ground - 52), (x + side * 9, ground - 6)], 11, NAVY)
        board.oval(x + side * 11, ground - 3, 9, 4, INK)
    board.box(x - 18, ground - 96, 36, 52, colour, 12)
    for side, (hand_x, hand_y) in zip((-1, 1), hands, strict=True):
        start, end = (x + side * 14, ground - 88), (x + hand_x, ground - 88 + hand_y)
        board.line([start, end], 9, colour)
        board.disc(*end, 6, SKIN)
    board.disc(x, ground - 113, 17, SKIN)
    board.shape([(x - 17, ground - 114), (x - 12, ground - 127), (x, ground - 132), (x + 12, ground - 127),
                 (x + 17, ground - 114), (x, ground - 121)], hair)  # fmt: skip
    for side in (-1, 1):
        board.disc(x + side * 6, ground - 112, 2, INK)
    board.line([(x - 4, ground - 105), (x + 4, ground - 105)], 1.6, (170, 90, 80))
