"""Scenes of the category 社会: what people do for each other."""

from __future__ import annotations

from scripts.demo_canvas import Canvas, Point
from scripts.demo_scenes.palette import (
    BLUE,
    DARK_WOOD,
    GRASS,
    GREEN,
    INK,
    NAVY,
    ORANGE,
    RED,
    SKIN,
    STONE,
    WHITE,
    person,
)

_HANGING: tuple[Point, Point] = ((-24, 44), (24, 44))


def two_people(*, edited: bool = False) -> Canvas:
    board = Canvas(360, 240)
    board.sky((242, 236, 226), (228, 220, 208))
    board.box(0, 196, 360, 44, (190, 164, 136))
    board.box(142, 30, 76, 66, (196, 222, 238))
    board.line([(180, 30), (180, 96)], 3, WHITE)
    board.line([(142, 63), (218, 63)], 3, WHITE)
    shift, left, right = (50, ((-24, 44), (38, 30)), ((-38, 30), (24, 44))) if edited else (0, _HANGING, _HANGING)
    person(board, 92 + shift, 218, BLUE, (70, 48, 36), left)
    person(board, 268 - shift, 218, GREEN, (40, 36, 44), right)
    return board


def seat_on_the_bus(*, edited: bool = False) -> Canvas:
    board = Canvas(384, 216)
    board.sky((232, 238, 232), (216, 224, 218))
    for x in (26, 146, 266):
        board.box(x, 22, 96, 66, (170, 212, 236), 10)
    board.line([(0, 12), (384, 12)], 5, STONE)
    board.box(0, 192, 384, 24, (124, 130, 138))
    board.box(78, 104, 18, 84, (66, 112, 150), 6)
    board.box(78, 148, 74, 18, (66, 112, 150), 6)
    board.box(104, 164, 8, 30, INK)
    coat, hair = ((150, 128, 150), (226, 226, 230)) if edited else (ORANGE, (52, 40, 36))
    board.line([(116, 146), (152, 148), (152, 186)], 12, NAVY)
    board.oval(157, 190, 11, 5, INK)
    board.box(98, 92, 36, 58, coat, 12)
    board.line([(128, 108), (150, 136)], 9, coat)
    board.disc(150, 136, 6, SKIN)
    board.disc(116, 76, 17, SKIN)
    board.shape([(99, 76), (104, 62), (116, 57), (128, 62), (133, 76), (116, 68)], hair)
    board.disc(122, 76, 2, INK)
    board.line([(286, 12), (286, 60)], 2.5, INK)
    if edited:
        person(board, 268, 200, ORANGE, (52, 40, 36), ((-24, 44), (18, -52)))
        board.line([(168, 140), (172, 190)], 4, DARK_WOOD)
        return board
    person(board, 268, 200, (150, 128, 150), (226, 226, 230), ((-30, 40), (18, -52)))
    board.line([(238, 150), (234, 198)], 4, DARK_WOOD)
    return board


def litter_in_the_park(*, edited: bool = False) -> Canvas:
    board = Canvas(300, 300)
    board.sky((176, 216, 240), (232, 242, 246))
    board.box(0, 190, 300, 110, GRASS)
    board.shape([(0, 236), (300, 216), (300, 268), (0, 290)], (222, 204, 166))
    for x, y in ((42, 128), (72, 112), (98, 134)):
        board.disc(x, y, 30, (86, 152, 84))
    board.box(64, 150, 12, 50, DARK_WOOD)
    hands: tuple[Point, Point] = ((-24, 44), (38, -14)) if edited else _HANGING
    person(board, 182 if edited else 134, 254, RED, (60, 44, 36), hands)
    if edited:
        board.box(232, 146, 14, 34, (84, 168, 214), 5)
        board.shape([(250, 160), (262, 152), (270, 162), (262, 172), (250, 170)], WHITE)
    board.shape([(226, 178), (276, 178), (270, 250), (232, 250)], (70, 120, 96))
    board.box(221, 168, 60, 12, (54, 98, 78), 4)
    for x in (241, 251, 261):
        board.line([(x, 190), (x, 240)], 2, (54, 98, 78))
    if not edited:
        board.box(40, 258, 34, 14, (84, 168, 214), 5)
        board.box(72, 261, 9, 8, WHITE, 2)
        board.shape([(180, 262), (196, 254), (204, 266), (192, 276), (178, 272)], WHITE)
        board.line([(184, 266), (196, 262)], 1.5, STONE)
    return board
