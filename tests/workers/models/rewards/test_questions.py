"""The questions of protocols, answered by the reward on the real classes, tiny."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from protocol.messages import ImagePart, Prompt, Question, TextPart
from tests.workers.image_files import file_of
from tests.workers.models.rewards.reward_requests import asked, grey, loaded, score
from workers.interface import ModelError, QuestionImage, ScoreRequest
from workers.models.processors import load_processor
from workers.models.rewards.generation import ModelReply
from workers.models.rewards.judgements import answer
from workers.models.rewards.qwen3_vl import DECLARATION, Qwen3VLReward

TOKENS = {"max_new_tokens": 8, "batch_size": 8}
IMAGES = (grey(20, (96, 80)), Image.linear_gradient("L").convert("RGB").resize((200, 64)), grey(250, (40, 150)))


@pytest.fixture(scope="module")
def reward(tiny_reward_path: Path) -> Qwen3VLReward:
    return loaded(tiny_reward_path)


def question(*parts: str | Image.Image, name: str = "quality", system: str = "") -> ScoreRequest:
    """A request that asks about these texts and images, in this order."""
    made: list[TextPart | ImagePart] = [
        TextPart(text=part) if isinstance(part, str) else ImagePart(image="edit") for part in parts
    ]
    shown = [QuestionImage(file_of(part), "image/png") for part in parts if not isinstance(part, str)]
    return ScoreRequest(
        image=None,  # type: ignore[arg-type]  # as a worker has it
        source=None,
        prompt=Prompt(aspect=name, system="", user=""),
        key="物理/1",
        image_sha256="0" * 64,
        question=Question(name=name, system=system, parts=made),
        shown=shown,
    )


def framed(*, system: str = "") -> ScoreRequest:
    first, second, third = IMAGES
    return question("Frame 1:", first, "Frame 2:", second, "Frame 3:", third, "Which is best?", system=system)


def as_transformers_answers(path: Path, request: ScoreRequest, max_new_tokens: int) -> str:
    """The same conversation, given to the library's own processor and model."""
    import torch
    from transformers import AutoModelForImageTextToText

    assert request.question is not None
    images = iter([Image.open(io.BytesIO(shown.data)) for shown in request.shown])
    content = [
        {"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": "image", "image": next(images)}
        for part in request.question.parts
    ]
    turns: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if request.question.system:
        turns.insert(0, {"role": "system", "content": [{"type": "text", "text": request.question.system}]})
    processor = load_processor(str(path))
    inputs = processor.apply_chat_template(
        turns, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    model = AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32).eval()
    with torch.inference_mode():
        output = model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
    reply = output[0, inputs["input_ids"].shape[1] :]
    return str(processor.tokenizer.decode(reply, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@pytest.mark.parametrize("system", ["", "You judge edits."])
def test_an_answer_about_three_images_is_the_one_that_transformers_gives(
    reward: Qwen3VLReward, tiny_reward_path: Path, system: str
) -> None:
    request = framed(system=system)
    [judgement] = score(reward, [request], {"max_new_tokens": 24}).judgements
    assert judgement.response == as_transformers_answers(tiny_reward_path, request, 24)
    assert (judgement.aspect, judgement.score, judgement.method, judgement.kind) == ("quality", None, None, None)


def test_questions_with_different_images_and_prompts_share_batches(reward: Qwen3VLReward) -> None:
    requests = [
        framed(),
        question("Is it sharp?", IMAGES[1], name="sharp"),
        asked(IMAGES[0], aspect="真实"),
        question(IMAGES[2], IMAGES[0], "Are they alike?", name="alike", system="You judge edits."),
    ]
    scores = score(reward, requests, TOKENS)
    assert [judgement.aspect for judgement in scores.judgements] == ["quality", "sharp", "真实", "alike"]
    assert list(scores.batch_sizes) == [4, 1], "only the prompt, whose reply states no score, is asked again"
    alone = [score(reward, [request], TOKENS).judgements[0] for request in requests]
    assert list(scores.judgements) == alone
    assert len({judgement.response for judgement in alone}) == 4


def test_questions_about_the_same_images_share_the_prepared_images(reward: Qwen3VLReward) -> None:
    requests = [question(IMAGES[1], "Sharp?"), question(IMAGES[1], "Bright?"), question(IMAGES[2], "Bright?")]
    rows = [request.row for request in reward.prepare_batch(requests, TOKENS)]
    assert rows[0] is not None
    assert [row is not None and row.patches is rows[0].patches for row in rows] == [True, True, False]


def test_a_reply_that_was_cut_off_is_an_answer_and_says_so() -> None:
    prompt = Prompt(aspect="quality", system="", user="")
    cut, whole = (answer(prompt, ModelReply("Score: 4", cut_off=cut_off)) for cut_off in (True, False))
    assert (cut.response, cut.kind, cut.message) == ("Score: 4", None, "the reply was cut off at max_new_tokens")
    assert (whole.response, whole.kind, whole.message) == ("Score: 4", None, None)


def test_a_thought_is_no_part_of_an_answer() -> None:
    prompt = Prompt(aspect="quality", system="", user="")

    def said(text: str, *, cut_off: bool = False) -> tuple[str | None, str | None, str | None]:
        judgement = answer(prompt, ModelReply(text, cut_off=cut_off, in_thought=True))
        return judgement.response, judgement.kind, judgement.message

    assert said("Score: 1?\n</think>\n\nScore: 4") == ("Score: 4", None, None)
    cut = "the reply was cut off within its thought: raise max_new_tokens"
    assert said("Score: 1?", cut_off=True) == ("Score: 1?", "unreadable_reply", cut)
    assert said("Score: 1?") == ("Score: 1?", "unreadable_reply", "the reply ends before its thought does")


@pytest.mark.parametrize("token", ["<|image_pad|>", "<|im_end|>"])
def test_a_question_with_a_special_token_of_the_model_fails_alone(reward: Qwen3VLReward, token: str) -> None:
    good = question("Is it sharp?", IMAGES[1])
    bad = [question(f"Look at {token}", IMAGES[0]), question("?", IMAGES[0], system=f"Be {token} brief")]
    first, *failed, last = score(reward, [good, *bad, good], TOKENS).judgements
    for judgement in failed:
        assert (judgement.kind, judgement.response) == ("error", None)
        assert token in str(judgement.message)
    assert first == last == score(reward, [good], TOKENS).judgements[0]


def test_an_image_that_cannot_be_decoded_is_a_failure_of_its_kind(reward: Qwen3VLReward) -> None:
    bad = question("?", IMAGES[0])
    vars(bad)["shown"] = [QuestionImage(file_of(IMAGES[0])[:60], "image/png")]
    [judgement] = score(reward, [bad], TOKENS).judgements
    assert (judgement.kind, judgement.response) == ("bad_image", None)


def test_logits_answer_no_questions(reward: Qwen3VLReward) -> None:
    with pytest.raises(ModelError, match="logits answers no questions") as raised:
        score(reward, [framed()], {"scoring": "logits"})
    assert raised.value.kind == "config"
    assert DECLARATION.answers_questions
