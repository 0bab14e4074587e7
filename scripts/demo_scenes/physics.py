"""Scenes of the category 物理: what falls, rolls or melts."""

from __future__ import annotations

import math

from scripts.demo_canvas import Canvas
from scripts.demo_scenes.palette import DARK_WOOD, GLASS, GRASS, INK, ORANGE, WATER, WHITE, WOOD, YELLOW


def glass_on_table(*, edited: bool = False) -> Canvas:
    board = Canvas(360, 240)
    board.sky((240, 232, 218), (226, 214, 196))
    board.box(0, 205, 360, 35, (196, 172, 142))
    board.box(0, 118, 236, 16, WOOD)
    board.box(0, 134, 228, 8, DARK_WOOD)
    board.box(30, 142, 16, 66, DARK_WOOD)
    board.box(190, 142, 16, 66, DARK_WOOD)
    if edited:
        board.oval(282, 222, 62, 12, WATER)
        board.shape([(250, 222), (262, 190), (276, 224)], GLASS)
        board.shape([(274, 220), (300, 196), (304, 226)], GLASS)
        board.shape([(306, 222), (322, 204), (330, 226)], (225, 242, 250, 220))
        return board
    board.shape([(213, 52), (259, 52), (252, 118), (220, 118)], GLASS)
    board.shape([(216, 78), (256, 78), (252, 116), (220, 116)], WATER)
    board.oval(236, 52, 23, 5, (225, 242, 250, 220))
    board.line([(222, 60), (226, 108)], 2.5, (255, 255, 255, 170))
    return board


def ball_on_slope(*, edited: bool = False) -> Canvas:
    board = Canvas(384, 216)
    board.sky((218, 234, 246), (244, 248, 250))
    board.box(0, 182, 384, 34, GRASS)
    board.shape([(40, 70), (96, 70), (300, 182), (40, 182)], (198, 160, 112))
    board.line([(40, 70), (96, 70), (300, 182)], 5, DARK_WOOD)
    x, y = (338, 164) if edited else (76, 46)
    board.disc(x, y, 22, ORANGE)
    board.disc(x - 8, y - 8, 6, (255, 255, 255, 120))
    if not edited:
        board.box(100, 46, 7, 30, INK, 2)
    return board


def ice_on_plate(*, edited: bool = False) -> Canvas:
    board = Canvas(288, 288)
    board.sky((252, 240, 206), (248, 226, 186))
    board.disc(232, 56, 28, YELLOW)
    for step in range(12):
        x, y = math.cos(step * math.pi / 6), math.sin(step * math.pi / 6)
        board.line([(232 + 36 * x, 56 + 36 * y), (232 + 48 * x, 56 + 48 * y)], 4, YELLOW)
    board.box(0, 214, 288, 74, WOOD)
    board.oval(144, 222, 108, 26, (214, 214, 218))
    board.oval(144, 216, 108, 26, WHITE)
    board.oval(144, 216, 78, 17, (230, 230, 234))
    if edited:
        board.oval(144, 217, 72, 14, (120, 190, 232, 220))
        board.line([(104, 213), (132, 210)], 3, (255, 255, 255, 170))
        return board
    board.shape([(96, 144), (150, 132), (196, 148), (142, 162)], (222, 242, 252, 235))
    board.shape([(96, 144), (142, 162), (142, 226), (98, 204)], (168, 214, 240, 235))
    board.shape([(142, 162), (196, 148), (194, 208), (142, 226)], (192, 228, 247, 235))
    board.line([(108, 158), (109, 190)], 3, (255, 255, 255, 170))
    return board
