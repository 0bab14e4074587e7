"""Scenes of the category 指代: which of several things is meant."""

from __future__ import annotations

from scripts.demo_canvas import Canvas, Colour
from scripts.demo_scenes.palette import BLUE, GLASS, GREEN, ORANGE, PURPLE, RED, YELLOW


def three_balls(*, edited: bool = False) -> Canvas:
    board = Canvas(360, 240)
    board.sky((240, 240, 244), (224, 224, 232))
    board.box(0, 160, 360, 80, (204, 186, 160))
    board.ball(78, 142, 42, BLUE if edited else RED)
    board.ball(182, 150, 34, GREEN)
    board.ball(286, 138, 46, YELLOW)
    return board


def three_cups(*, edited: bool = False) -> Canvas:
    """Cups on a transparent ground; the glass of the middle one is half transparent."""
    board = Canvas(300, 300)
    cups: tuple[tuple[int, int, int, Colour], ...] = (
        (62, 88, 116, ORANGE),
        (162, 66, 84, GLASS),
        (244, 50, 60, GREEN if edited else PURPLE),
    )
    for x, width, height, colour in cups:
        top, left = 220 - height, x - width / 2
        handle = [(left + width - 4, top + height * 0.25), (left + width + 12, top + height * 0.35),
                  (left + width + 12, top + height * 0.6), (left + width - 6, top + height * 0.72)]  # fmt: skip
        board.line(handle, 6, colour)
        board.shape([(left, top), (left + width, top), (left + width * 0.9, 220), (left + width * 0.1, 220)], colour)
        board.oval(x, 220, width * 0.4, 6, colour)
        board.oval(x, top, width / 2, 7, (255, 255, 255, 150))
    return board


def grid_of_shapes(*, edited: bool = False) -> Canvas:
    board = Canvas(270, 270)
    board.sky((250, 248, 242), (250, 248, 242))
    colours = (RED, YELLOW, BLUE, GREEN, PURPLE, ORANGE, BLUE, GREEN, RED)
    for number, colour in enumerate(colours):
        x, y = 45 + 90 * (number % 3), 45 + 90 * (number // 3)
        board.box(x - 41, y - 41, 82, 82, (234, 230, 220), 8)
        if number == 4 and edited:
            board.shape([(x, y - 28), (x + 31, y + 26), (x - 31, y + 26)], colour)
        elif number % 2 == 0:
            board.disc(x, y, 28, colour)
        else:
            board.box(x - 26, y - 26, 52, 52, colour, 4)
    return board
