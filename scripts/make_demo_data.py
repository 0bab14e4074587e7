"""Draws the demo benchmark: ``python -m scripts.make_demo_data OUTPUT.json``.

Fifteen drawings in the five Chinese categories, in several shapes and encodings: enough for a whole run without a
download. The same libraries give the same bytes; an up-to-date file is not written again.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from scripts.demo_canvas import Canvas
from scripts.demo_scenes import causality, environment, physics, reference, society
from scripts.demo_scenes.palette import Drawing

Encoding = Literal["png", "transparent_png", "palette_png", "jpeg"]


@dataclass(frozen=True)
class Scene:
    """One pair: the drawing, its description, and the edit instruction."""

    pair_id: str
    draw: Drawing
    description: str
    instruction: str
    encoding: Encoding = "png"


SCENES: dict[str, tuple[Scene, ...]] = {
    "物理": (
        Scene(
            "physics_glass",
            physics.glass_on_table,
            "一只装着水的玻璃杯放在木桌的边缘，有一半悬在桌外，下面是地板。",
            "让杯子掉到地上碎开，水洒在地板上。",
        ),
        Scene(
            "physics_slope",
            physics.ball_on_slope,
            "一个橙色的小球停在斜坡的顶端，被一块深色挡板挡住，斜坡右下方是草地。",
            "拿走挡板，让小球滚到斜坡底部的草地上。",
        ),
        Scene(
            "physics_ice",
            physics.ice_on_plate,
            "阳光下的木桌上有一个白色盘子，盘子里放着一块完整的冰。",
            "让盘子里的冰块完全融化成一滩水。",
        ),
    ),
    "环境": (
        Scene(
            "environment_tree",
            environment.summer_tree,
            "夏天晴朗的天空下，草地上长着一棵枝叶茂盛的绿树。",
            "把季节改成冬天：树叶落光，树枝和地面都盖着积雪。",
        ),
        Scene(
            "environment_house",
            environment.house_by_day,
            "白天，草地上有一座红色屋顶的小房子，两旁各有一棵松树，天上有太阳和白云。",
            "把白天改成夜晚：天空变暗，出现月亮和星星，房子的窗户亮起灯光。",
        ),
        Scene(
            "environment_street",
            environment.sunny_street,
            "晴天的城市街道，路边有三栋高楼，一辆红色小汽车停在马路上。",
            "把天气改成大雨：乌云密布，路面湿滑并有积水和倒影。",
            "jpeg",
        ),
    ),
    "社会": (
        Scene(
            "society_greeting",
            society.two_people,
            "房间里，一个穿蓝色衣服的人和一个穿绿色衣服的人面对我们站着，彼此隔开一段距离。",
            "让这两个人走到一起，友好地握手。",
        ),
        Scene(
            "society_seat",
            society.seat_on_the_bus,
            "公交车里，一个穿橙色衣服的年轻人坐在座位上，旁边站着一位拄着拐杖、拉着吊环的白发老人。",
            "让年轻人站起来，把座位让给老人坐。",
        ),
        Scene(
            "society_litter",
            society.litter_in_the_park,
            "公园的小路上丢着一个塑料瓶和一团废纸，一个穿红色衣服的人站在路上，右边有一个绿色垃圾桶。",
            "让这个人把地上的垃圾捡起来扔进垃圾桶，路面变干净。",
        ),
    ),
    "因果": (
        Scene(
            "causality_candle",
            causality.burning_candle,
            "昏暗的房间里，木桌上的烛台上立着一支刚点燃不久的长蜡烛。",
            "画出蜡烛燃烧几个小时以后的样子：蜡烛快要烧完，蜡油流满烛台。",
        ),
        Scene(
            "causality_seedling",
            causality.seedling_in_pot,
            "陶土花盆里有一株刚长出两片叶子的小苗，旁边放着一个蓝色的洒水壶。",
            "画出每天浇水、两个月以后的样子：小苗长成一株高大的开花植物。",
        ),
        Scene(
            "causality_dominoes",
            causality.dominoes,
            "六块彩色的多米诺骨牌在桌上立成一排，左边一只手正要推倒第一块红色骨牌。",
            "画出第一块骨牌被推倒以后的结果：所有骨牌依次向右倒下。",
        ),
    ),
    "指代": (
        Scene(
            "reference_balls",
            reference.three_balls,
            "桌面上从左到右放着三个球：红球、绿球和黄球。",
            "把左边的红球换成蓝色，其他的球保持不变。",
        ),
        Scene(
            "reference_cups",
            reference.three_cups,
            "透明背景上有三个杯子，从左到右越来越小：橙色的大杯、玻璃的中杯和紫色的小杯。",
            "把最小的那个杯子换成绿色，其他杯子保持不变。",
            "transparent_png",
        ),
        Scene(
            "reference_grid",
            reference.grid_of_shapes,
            "三行三列的格子里交替放着不同颜色的圆形和正方形，正中间是一个紫色的圆形。",
            "把第二行中间的圆形换成同样颜色的三角形，其他图形保持不变。",
            "palette_png",
        ),
    ),
}


def encode(canvas: Canvas, encoding: Encoding) -> bytes:
    """Encode the drawing as an image file."""
    image = canvas.transparent() if encoding == "transparent_png" else canvas.opaque()
    file = io.BytesIO()
    if encoding == "jpeg":
        image.save(file, "JPEG", quality=90)
    elif encoding == "palette_png":
        image.quantize(64, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    else:
        image.save(file, "PNG", optimize=True)
    return file.getvalue()


def demo_benchmark() -> dict[str, list[dict[str, str]]]:
    """Draw everything; return the content of the benchmark's JSON file."""
    return {
        category: [
            {
                "pair_id": scene.pair_id,
                "original_description": scene.description,
                "edit_instruction": scene.instruction,
                "original_image_b64": base64.b64encode(encode(scene.draw(), scene.encoding)).decode("ascii"),
            }
            for scene in of_category
        ]
        for category, of_category in SCENES.items()
    }


def write_if_changed(path: Path, content: bytes) -> bool:
    """Write the file atomically, unless it has this content already; return whether it was written."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit code."""
    parser = argparse.ArgumentParser(prog="make_demo_data", description="Draw the demo benchmark.")
    parser.add_argument("output", type=Path, help="the JSON file to write")
    output: Path = parser.parse_args(arguments).output
    benchmark = demo_benchmark()
    content = json.dumps(benchmark, ensure_ascii=False, indent=1).encode() + b"\n"
    written = write_if_changed(output, content)
    pairs = sum(map(len, benchmark.values()))
    state = "written" if written else "unchanged"
    sys.stdout.write(f"{output}: {state}, {pairs} pairs in {len(benchmark)} categories, {len(content)} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
