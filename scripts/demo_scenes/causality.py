"""Scenes of the category 因果: what follows after some time, or from a push."""

from __future__ import annotations

from scripts.demo_canvas import Canvas, Point
from scripts.demo_scenes.palette import BLUE, DARK_WOOD, GREEN, INK, ORANGE, PURPLE, RED, SKIN, WOOD, YELLOW


def burning_candle(*, edited: bool = False) -> Canvas:
    board = Canvas(220, 330)
    board.sky((44, 40, 66), (84, 68, 84))
    top = 244 if edited else 122
    for radius, strength in ((96, 22), (70, 30), (46, 44)):
        board.disc(110, top - 36, radius, (255, 200, 110, strength))
    board.box(0, 276, 220, 54, DARK_WOOD)
    board.oval(110, 282, 58, 13, (176, 150, 96))
    board.oval(110, 278, 58, 13, (206, 180, 120))
    if edited:
        board.oval(110, 276, 50, 11, (246, 236, 212))
    board.box(84, top, 52, 280 - top, (246, 236, 212), 4)
    board.box(84, top, 13, 280 - top, (226, 212, 184), 4)
    board.oval(110, top + 1, 26, 7, (255, 246, 224))
    board.line([(128, top + 4), (128, top + 34)], 8, (255, 246, 224))
    _flame(board, top)
    return board


def _flame(board: Canvas, top: float) -> None:
    """A wick and its flame, on a candle whose upper end is at ``top``."""
    board.line([(110, top), (110, top - 18)], 2.5, INK)
    outer = ((110, 70), (122, 38), (119, 21), (110, 15), (101, 21), (98, 38))
    inner = ((110, 50), (116, 32), (114, 21), (110, 18), (106, 21), (104, 32))
    board.shape([(x, top - height) for x, height in outer], ORANGE)
    board.shape([(x, top - height) for x, height in inner], (255, 232, 140))


def seedling_in_pot(*, edited: bool = False) -> Canvas:
    board = Canvas(280, 280)
    board.sky((232, 242, 232), (216, 230, 214))
    board.box(0, 228, 280, 52, WOOD)
    board.shape([(56, 168), (144, 168), (132, 244), (68, 244)], (196, 106, 70))
    board.box(50, 156, 100, 18, (212, 122, 82), 4)
    board.oval(100, 160, 42, 6, (88, 62, 46))
    if edited:
        _flowers(board)
    else:
        board.line([(100, 160), (100, 128)], 4, GREEN)
        board.shape([(100, 132), (84, 116), (72, 116), (80, 130)], GREEN)
        board.shape([(100, 130), (116, 112), (130, 112), (120, 128)], (104, 182, 92))
    board.box(184, 178, 62, 62, BLUE, 8)
    board.line([(188, 222), (160, 190)], 8, BLUE)
    board.line([(154, 194), (166, 184)], 7, (42, 92, 172))
    board.line([(246, 190), (262, 196), (262, 222), (246, 230)], 6, (42, 92, 172))
    board.oval(215, 180, 26, 5, (42, 92, 172))
    return board


def _flowers(board: Canvas) -> None:
    board.line([(100, 160), (100, 56)], 6, GREEN)
    for x, y in ((60, 82), (140, 78)):
        board.line([(100, 120), (x, y)], 5, GREEN)
    for x, y, shift in ((76, 138, -1), (124, 134, 1), (74, 108, -1), (126, 104, 1)):
        board.oval(x, y, 24, 9, GREEN if shift < 0 else (104, 182, 92))
    for x, y, size in ((100, 48, 17), (56, 78, 13), (144, 74, 13)):
        for step_x, step_y in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            board.disc(x + step_x * size * 0.8, y + step_y * size * 0.8, size * 0.7, (232, 92, 130))
        board.disc(x, y, size * 0.6, YELLOW)


def dominoes(*, edited: bool = False) -> Canvas:
    board = Canvas(400, 170)
    board.sky((246, 240, 230), (236, 226, 212))
    board.box(0, 128, 400, 42, WOOD)
    colours = (RED, ORANGE, YELLOW, GREEN, BLUE, PURPLE)
    for number, colour in enumerate(colours):
        x = 106 + number * 46
        if edited:
            fallen: list[Point] = [(x, 130), (x + 54, 94), (x + 64, 108), (x + 10, 138)]
            board.oval(x + 32, 136, 34, 4, (0, 0, 0, 50))
            board.shape(fallen, colour)
            board.line([(x + 29, 113), (x + 35, 121)], 1.5, (255, 255, 255, 180))
        else:
            board.oval(x + 8, 136, 16, 4, (0, 0, 0, 50))
            board.box(x, 66, 16, 70, colour, 3)
            board.line([(x + 3, 101), (x + 13, 101)], 1.5, (255, 255, 255, 180))
    board.line([(40, 66), (66, 86)], 15, SKIN)
    board.line([(66, 86), (82, 90)], 8, SKIN)
    board.line([(4, 38), (40, 66)], 22, BLUE)
    return board
