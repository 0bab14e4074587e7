"""Scenes of the category 环境: another season, time of day or weather."""

from __future__ import annotations

from scripts.demo_canvas import Canvas, Colour
from scripts.demo_scenes.palette import DARK_WOOD, GRASS, INK, RED, STONE, WHITE, YELLOW

_SNOW: Colour = (240, 244, 250)


def summer_tree(*, edited: bool = False) -> Canvas:
    board = Canvas(240, 360)
    if edited:
        _winter(board)
        return board
    board.sky((118, 186, 238), (214, 236, 248))
    board.disc(212, 40, 22, YELLOW)
    board.box(0, 284, 240, 76, GRASS)
    board.shape([(106, 300), (112, 180), (130, 180), (138, 300)], DARK_WOOD)
    for x, y, radius in ((78, 158, 42), (164, 158, 42), (120, 176, 46), (92, 112, 44), (150, 110, 44), (120, 82, 44)):
        board.disc(x, y, radius, (70, 146, 70))
    for x, y in ((88, 100), (134, 78), (160, 132), (76, 150), (118, 138), (146, 170)):
        board.disc(x, y, 15, (104, 176, 88))
    for x in (24, 56, 180, 214):
        board.line([(x, 330), (x - 3, 318)], 2.5, (84, 146, 62))
        board.line([(x, 330), (x + 4, 316)], 2.5, (84, 146, 62))
    return board


def _winter(board: Canvas) -> None:
    board.sky((168, 184, 204), (222, 228, 236))
    board.box(0, 284, 240, 76, _SNOW)
    board.shape([(106, 300), (114, 150), (128, 150), (138, 300)], DARK_WOOD)
    branches = (
        ((120, 190), (62, 120)),
        ((120, 186), (180, 116)),
        ((120, 156), (92, 64)),
        ((120, 156), (152, 60)),
        ((86, 148), (50, 158)),
        ((152, 148), (194, 160)),
    )
    for start, end in branches:
        board.line([start, end], 8, DARK_WOOD)
        board.line([(start[0], start[1] - 6), (end[0], end[1] - 6)], 5, _SNOW)
    board.oval(122, 302, 44, 10, (252, 252, 255))


def house_by_day(*, edited: bool = False) -> Canvas:
    board = Canvas(400, 160)
    wall, roof, grass, pine, trunk = (244, 224, 190), (186, 82, 66), GRASS, (66, 134, 82), DARK_WOOD
    if edited:
        wall, roof, grass, pine, trunk = (104, 96, 110), (84, 44, 56), (40, 66, 58), (24, 54, 54), (46, 34, 38)
        board.sky((16, 22, 54), (48, 58, 104))
        board.disc(372, 30, 16, (244, 238, 206))
        board.disc(365, 26, 14, (20, 27, 60))
        for x, y in ((30, 20), (84, 44), (118, 16), (254, 20), (304, 48), (330, 18)):
            board.disc(x, y, 2.6, (252, 248, 220))
    else:
        board.sky((126, 192, 240), (222, 240, 250))
        board.disc(378, 26, 15, YELLOW)
        for x, y in ((66, 34), (268, 26)):
            for shift, radius in ((-20, 10), (0, 15), (20, 11)):
                board.disc(x + shift, y, radius, (255, 255, 255, 220))
    board.box(0, 124, 400, 36, grass)
    board.box(142, 70, 118, 62, wall)
    board.shape([(128, 72), (201, 26), (274, 72)], roof)
    for x in (156, 222):
        frame: Colour = (150, 140, 130) if edited else WHITE
        board.box(x, 84, 24, 22, frame, 2)
        board.box(x + 2, 86, 20, 18, (255, 214, 96) if edited else (120, 158, 186), 1)
        board.line([(x + 12, 86), (x + 12, 103)], 1.5, frame)
    board.box(190, 94, 22, 38, trunk, 2)
    board.disc(207, 114, 1.8, YELLOW)
    for x in (44, 338):
        board.box(x - 4, 96, 8, 34, trunk)
        board.shape([(x - 26, 104), (x, 48), (x + 26, 104)], pine)
    return board


def sunny_street(*, edited: bool = False) -> Canvas:
    board = Canvas(360, 240)
    if edited:
        board.sky((96, 106, 122), (150, 158, 168))
        for x, y, radius in ((40, 26, 30), (86, 18, 34), (140, 26, 32), (200, 16, 36), (262, 24, 32), (320, 18, 36)):
            board.disc(x, y, radius, (72, 80, 96))
    else:
        board.sky((140, 200, 242), (232, 242, 248))
        board.disc(54, 46, 22, YELLOW)
    towers: tuple[tuple[int, int, int, Colour], ...] = (
        (96, 70, 58, (206, 150, 122)),
        (166, 40, 66, (148, 164, 190)),
        (246, 84, 74, (222, 192, 138)),
    )
    for x, top, width, colour in towers:
        board.box(x, top, width, 112 + 70 - top, colour)
        for row in range((182 - top - 24) // 24):
            for column in range((width - 10) // 16):
                board.box(x + 9 + column * 16, top + 10 + row * 24, 9, 13, (242, 246, 250))
    board.box(0, 176, 360, 12, STONE)
    board.box(0, 188, 360, 52, (66, 74, 92) if edited else (104, 106, 114))
    for x in range(12, 360, 56):
        board.box(x, 212, 30, 4, WHITE)
    if edited:
        board.box(0, 0, 360, 188, (84, 96, 116, 90))
        board.oval(170, 224, 62, 10, (196, 84, 84, 150))
        board.oval(56, 226, 44, 8, (150, 174, 200, 190))
        board.oval(300, 222, 50, 9, (150, 174, 200, 190))
    _car(board)
    if edited:
        for number in range(54):
            x, y = (number * 67) % 372, (number * 41) % 210
            board.line([(x, y), (x - 6, y + 24)], 2, (214, 226, 240, 150))
    return board


def _car(board: Canvas) -> None:
    board.box(128, 186, 84, 22, RED, 7)
    board.shape([(144, 188), (156, 168), (188, 168), (200, 188)], RED)
    board.shape([(150, 187), (159, 172), (170, 172), (170, 187)], (206, 230, 242))
    board.shape([(174, 187), (174, 172), (186, 172), (193, 187)], (206, 230, 242))
    for x in (146, 194):
        board.disc(x, 208, 9, INK)
        board.disc(x, 208, 4, STONE)
