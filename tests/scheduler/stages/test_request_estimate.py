"""How many requests and tokens a judge's server will be asked for."""

from __future__ import annotations

import pytest

from scheduler.benchmark import Benchmark, Pair
from scheduler.benchmark.units import AllEdits
from scheduler.config.prompts import CategoryPrompts, PromptTemplate
from scheduler.stages.by_prompts import PromptJudging
from scheduler.stages.by_protocol import ProtocolJudging
from scheduler.stages.judging import Judging
from scheduler.stages.request_estimate import estimate_requests, image_tokens, rough_count
from tests.example_protocol import prepared_for


class Image:
    """A source of 2048 x 1024 pixels, of which nothing else is known."""

    size, sha256 = (2048, 1024), "0" * 64

    def read(self) -> bytes:
        raise AssertionError("an estimate reads no image")


PAIRS = tuple(Pair(number, "c", str(number), "do it" + "!" * 95, "", Image(), Image.sha256) for number in range(3))
BENCHMARK = Benchmark("data", "json", ("c",), PAIRS, (), (), "0")
PROMPTS = CategoryPrompts((PromptTemplate("a", "x" * 41, "{edit_instruction}"), PromptTemplate("b", "", "y")), "mean")


def estimate(judging: Judging, longest_side: int | None = None) -> tuple[int, int, int]:
    edits = AllEdits(PAIRS, samples=2)
    made = estimate_requests(judging, edits, BENCHMARK.by_key, longest_side=longest_side, reply_tokens=100)
    return made.requests, made.text_tokens, made.image_tokens


def by_prompts(*, with_source: bool) -> Judging:
    return PromptJudging(2, BENCHMARK.by_key, lambda _: PROMPTS, {}, with_source=with_source, score_range=(0.0, 10.0))


def test_each_prompt_about_each_edit_is_a_request_with_the_images_that_are_shown() -> None:
    edits, shown = 3 * 2 * 2, image_tokens((2048, 1024))
    tokens = (41 + 100 + 3) // 4 + 1
    assert estimate(by_prompts(with_source=False)) == (
        2 * edits,
        edits * tokens,
        2 * edits * image_tokens((2048, 1024)),
    )
    assert estimate(by_prompts(with_source=True))[2] == 4 * edits * shown
    assert estimate(by_prompts(with_source=False), 512)[2] == 2 * edits * (85 + 170)


def test_each_question_of_a_protocol_is_a_request_with_its_own_images() -> None:
    judging = ProtocolJudging(1, BENCHMARK.by_key, prepared_for(BENCHMARK), {})
    requests, text, images = estimate(judging)
    assert requests == 3 * 2 * 2
    assert text == 3 * 2 * ((len("Does it follow ?") + 100 + 3) // 4 + (len("How good does it look?") + 3) // 4)
    assert images == 3 * 2 * 3 * image_tokens((2048, 1024))


@pytest.mark.parametrize(
    ("size", "tiles"),
    [((512, 512), 1), ((513, 512), 2), ((1024, 1024), 4), ((2048, 4096), 6), ((4096, 8192), 6), ((1, 1), 1)],
)
def test_an_image_counts_by_its_tiles_once_it_is_fitted(size: tuple[int, int], tiles: int) -> None:
    """1024 x 1024 and 2048 x 4096 are the examples of OpenAI's documentation."""
    assert image_tokens(size) == 85 + 170 * tiles


def test_it_is_said_for_people_and_as_an_estimate() -> None:
    made = estimate_requests(
        by_prompts(with_source=False), AllEdits(PAIRS), BENCHMARK.by_key, longest_side=None, reply_tokens=1024
    )
    assert str(made) == (
        "12 requests, about 13 thousand tokens in prompts (an estimate: 4 characters a token, images by OpenAI's tiles "
        "of 512 pixels); replies of at most 1,024 tokens each"
    )
    assert [rough_count(number) for number in (640, 9_999, 999_499, 999_500)] == [
        "640",
        "9999",
        "999 thousand",
        "1.0 million",
    ]
