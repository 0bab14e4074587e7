"""The pictures of the demo benchmark. ``make_demo_data`` describes what each shows."""

from __future__ import annotations

import math

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


def glass_on_table() -> Canvas:
    board = Canvas(360, 240)
    board.sky((240, 232, 218), (226, 214, 196))
    board.box(0, 205, 360, 35, (196, 172, 142))
    board.box(0, 118, 236, 16, WOOD)
    board.box(0, 134, 228, 8, DARK_WOOD)
    board.box(30, 142, 16, 66, DARK_WOOD)
    board.box(190, 142, 16, 66, DARK_WOOD)
    board.shape([(213, 52), (259, 52), (252, 118), (220, 118)], GLASS)
    board.shape([(216, 78), (256, 78), (252, 116), (220, 116)], (70, 150, 214, 170))
    board.oval(236, 52, 23, 5, (225, 242, 250, 220))
    board.line([(222, 60), (226, 108)], 2.5, (255, 255, 255, 170))
    return board


def ball_on_slope() -> Canvas:
    board = Canvas(384, 216)
    board.sky((218, 234, 246), (244, 248, 250))
    board.box(0, 182, 384, 34, GRASS)
    board.shape([(40, 70), (96, 70), (300, 182), (40, 182)], (198, 160, 112))
    board.line([(40, 70), (96, 70), (300, 182)], 5, DARK_WOOD)
    board.disc(76, 46, 22, ORANGE)
    board.disc(68, 38, 6, (255, 255, 255, 120))
    board.box(100, 46, 7, 30, INK, 2)
    return board


def ice_on_plate() -> Canvas:
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
    board.shape([(96, 144), (150, 132), (196, 148), (142, 162)], (222, 242, 252, 235))
    board.shape([(96, 144), (142, 162), (142, 226), (98, 204)], (168, 214, 240, 235))
    board.shape([(142, 162), (196, 148), (194, 208), (142, 226)], (192, 228, 247, 235))
    board.line([(108, 158), (109, 190)], 3, (255, 255, 255, 170))
    return board


def summer_tree() -> Canvas:
    board = Canvas(240, 360)
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


def house_by_day() -> Canvas:
    board = Canvas(400, 160)
    board.sky((126, 192, 240), (222, 240, 250))
    board.disc(378, 26, 15, YELLOW)
    for x, y in ((66, 34), (268, 26)):
        for shift, radius in ((-20, 10), (0, 15), (20, 11)):
            board.disc(x + shift, y, radius, (255, 255, 255, 220))
    board.box(0, 124, 400, 36, GRASS)
    board.box(142, 70, 118, 62, (244, 224, 190))
    board.shape([(128, 72), (201, 26), (274, 72)], (186, 82, 66))
    for x in (156, 222):
        board.box(x, 84, 24, 22, WHITE, 2)
        board.box(x + 2, 86, 20, 18, (120, 158, 186), 1)
        board.line([(x + 12, 86), (x + 12, 103)], 1.5, WHITE)
    board.box(190, 94, 22, 38, DARK_WOOD, 2)
    board.disc(207, 114, 1.8, YELLOW)
    for x in (44, 338):
        board.box(x - 4, 96, 8, 34, DARK_WOOD)
        board.shape([(x - 26, 104), (x, 48), (x + 26, 104)], (66, 134, 82))
    return board


def sunny_street() -> Canvas:
    board = Canvas(360, 240)
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
    board.box(0, 188, 360, 52, (104, 106, 114))
    for x in range(12, 360, 56):
        board.box(x, 212, 30, 4, WHITE)
    board.box(128, 186, 84, 22, RED, 7)
    board.shape([(144, 188), (156, 168), (188, 168), (200, 188)], RED)
    board.shape([(150, 187), (159, 172), (170, 172), (170, 187)], (206, 230, 242))
    board.shape([(174, 187), (174, 172), (186, 172), (193, 187)], (206, 230, 242))
    for x in (146, 194):
        board.disc(x, 208, 9, INK)
        board.disc(x, 208, 4, STONE)
    return board


def _person(board: Canvas, x: float, ground: float, colour: Colour, hair: Colour, hands: tuple[Point, Point]) -> None:
    """A standing person, 120 pixels tall; ``hands`` are the positions of the hands, from between the shoulders."""
    for side in (-1, 1):
        board.line([(x + side * 8, ground - 52), (x + side * 9, ground - 6)], 11, (70, 76, 104))
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


def two_people() -> Canvas:
    board = Canvas(360, 240)
    board.sky((242, 236, 226), (228, 220, 208))
    board.box(0, 196, 360, 44, (190, 164, 136))
    board.box(142, 30, 76, 66, (196, 222, 238))
    board.line([(180, 30), (180, 96)], 3, WHITE)
    board.line([(142, 63), (218, 63)], 3, WHITE)
    hanging: tuple[Point, Point] = ((-24, 44), (24, 44))
    _person(board, 92, 218, BLUE, (70, 48, 36), hanging)
    _person(board, 268, 218, GREEN, (40, 36, 44), hanging)
    return board


def seat_on_the_bus() -> Canvas:
    board = Canvas(384, 216)
    board.sky((232, 238, 232), (216, 224, 218))
    for x in (26, 146, 266):
        board.box(x, 22, 96, 66, (170, 212, 236), 10)
    board.line([(0, 12), (384, 12)], 5, STONE)
    board.box(0, 192, 384, 24, (124, 130, 138))
    board.box(78, 104, 18, 84, (66, 112, 150), 6)
    board.box(78, 148, 74, 18, (66, 112, 150), 6)
    board.box(104, 164, 8, 30, INK)
    board.line([(116, 146), (152, 148), (152, 186)], 12, (70, 76, 104))
    board.oval(157, 190, 11, 5, INK)
    board.box(98, 92, 36, 58, ORANGE, 12)
    board.line([(128, 108), (150, 136)], 9, ORANGE)
    board.disc(150, 136, 6, SKIN)
    board.disc(116, 76, 17, SKIN)
    board.shape([(99, 76), (104, 62), (116, 57), (128, 62), (133, 76), (116, 68)], (52, 40, 36))
    board.disc(122, 76, 2, INK)
    board.line([(286, 12), (286, 60)], 2.5, INK)
    _person(board, 268, 200, (150, 128, 150), (226, 226, 230), ((-30, 40), (18, -52)))
    board.line([(238, 150), (234, 198)], 4, DARK_WOOD)
    return board


def litter_in_the_park() -> Canvas:
    board = Canvas(300, 300)
    board.sky((176, 216, 240), (232, 242, 246))
    board.box(0, 190, 300, 110, GRASS)
    board.shape([(0, 236), (300, 216), (300, 268), (0, 290)], (222, 204, 166))
    for x, y in ((42, 128), (72, 112), (98, 134)):
        board.disc(x, y, 30, (86, 152, 84))
    board.box(64, 150, 12, 50, DARK_WOOD)
    _person(board, 134, 254, RED, (60, 44, 36), ((-24, 44), (24, 44)))
    board.shape([(226, 178), (276, 178), (270, 250), (232, 250)], (70, 120, 96))
    board.box(221, 168, 60, 12, (54, 98, 78), 4)
    for x in (241, 251, 261):
        board.line([(x, 190), (x, 240)], 2, (54, 98, 78))
    board.box(40, 258, 34, 14, (84, 168, 214), 5)
    board.box(72, 261, 9, 8, WHITE, 2)
    board.shape([(180, 262), (196, 254), (204, 266), (192, 276), (178, 272)], WHITE)
    board.line([(184, 266), (196, 262)], 1.5, STONE)
    return board


def burning_candle() -> Canvas:
    board = Canvas(220, 330)
    board.sky((44, 40, 66), (84, 68, 84))
    for radius, strength in ((96, 22), (70, 30), (46, 44)):
        board.disc(110, 86, radius, (255, 200, 110, strength))
    board.box(0, 276, 220, 54, DARK_WOOD)
    board.oval(110, 282, 58, 13, (176, 150, 96))
    board.oval(110, 278, 58, 13, (206, 180, 120))
    board.box(84, 122, 52, 158, (246, 236, 212), 4)
    board.box(84, 122, 13, 158, (226, 212, 184), 4)
    board.oval(110, 123, 26, 7, (255, 246, 224))
    board.line([(128, 126), (128, 156)], 8, (255, 246, 224))
    board.line([(110, 122), (110, 104)], 2.5, INK)
    board.shape([(110, 52), (122, 84), (119, 101), (110, 107), (101, 101), (98, 84)], ORANGE)
    board.shape([(110, 72), (116, 90), (114, 101), (110, 104), (106, 101), (104, 90)], (255, 232, 140))
    return board


def seedling_in_pot() -> Canvas:
    board = Canvas(280, 280)
    board.sky((232, 242, 232), (216, 230, 214))
    board.box(0, 228, 280, 52, WOOD)
    board.shape([(56, 168), (144, 168), (132, 244), (68, 244)], (196, 106, 70))
    board.box(50, 156, 100, 18, (212, 122, 82), 4)
    board.oval(100, 160, 42, 6, (88, 62, 46))
    board.line([(100, 160), (100, 128)], 4, GREEN)
    board.shape([(100, 132), (84, 116), (72, 116), (80, 130)], GREEN)
    board.shape([(100, 130), (116, 112), (130, 112), (120, 128)], (104, 182, 92))
    board.box(184, 178, 62, 62, BLUE, 8)
    board.line([(188, 222), (160, 190)], 8, BLUE)
    board.line([(154, 194), (166, 184)], 7, (42, 92, 172))
    board.line([(246, 190), (262, 196), (262, 222), (246, 230)], 6, (42, 92, 172))
    board.oval(215, 180, 26, 5, (42, 92, 172))
    return board


def dominoes() -> Canvas:
    board = Canvas(400, 170)
    board.sky((246, 240, 230), (236, 226, 212))
    board.box(0, 128, 400, 42, WOOD)
    colours = (RED, ORANGE, YELLOW, GREEN, BLUE, PURPLE)
    for number, colour in enumerate(colours):
        x = 106 + number * 46
        board.oval(x + 8, 136, 16, 4, (0, 0, 0, 50))
        board.box(x, 66, 16, 70, colour, 3)
        board.line([(x + 3, 101), (x + 13, 101)], 1.5, (255, 255, 255, 180))
    board.line([(40, 66), (66, 86)], 15, SKIN)
    board.line([(66, 86), (82, 90)], 8, SKIN)
    board.line([(4, 38), (40, 66)], 22, BLUE)
    return board


def three_balls() -> Canvas:
    board = Canvas(360, 240)
    board.sky((240, 240, 244), (224, 224, 232))
    board.box(0, 160, 360, 80, (204, 186, 160))
    board.ball(78, 142, 42, RED)
    board.ball(182, 150, 34, GREEN)
    board.ball(286, 138, 46, YELLOW)
    return board


def three_cups() -> Canvas:
    """Cups on a transparent ground; the glass of the middle one is half transparent."""
    board = Canvas(300, 300)
    cups: tuple[tuple[int, int, int, Colour], ...] = (
        (62, 88, 116, ORANGE),
        (162, 66, 84, GLASS),
        (244, 50, 60, PURPLE),
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


def grid_of_shapes() -> Canvas:
    board = Canvas(270, 270)
    board.sky((250, 248, 242), (250, 248, 242))
    colours = (RED, YELLOW, BLUE, GREEN, PURPLE, ORANGE, BLUE, GREEN, RED)
    for number, colour in enumerate(colours):
        x, y = 45 + 90 * (number % 3), 45 + 90 * (number // 3)
        board.box(x - 41, y - 41, 82, 82, (234, 230, 220), 8)
        if number % 2 == 0:
            board.disc(x, y, 28, colour)
        else:
            board.box(x - 26, y - 26, 52, 52, colour, 4)
    return board
