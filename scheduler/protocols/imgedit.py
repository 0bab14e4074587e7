"""ImgEdit-Bench, basic and UGE, from https://github.com/PKU-YuanGroup/ImgEdit.

One request per edit. Its reply has lines that end with a number after a colon; their mean is the item's score. All
means are rounded to two places, as the authors' scripts do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from protocol.messages import ImagePart, ImageStep, Question, TextPart
from scheduler.protocols.declaration import (
    Dimension,
    ItemFacts,
    Judge,
    JudgedItem,
    Numbers,
    Protocol,
    ProtocolType,
    UnreadableReply,
    UnsuitableItem,
)
from scheduler.protocols.official import OfficialError, OfficialFiles, filled
from scheduler.protocols.readings import off_scale, score_value, whole_mean

EDIT_TYPES = ("add", "adjust", "extract", "replace", "remove", "background", "style", "compose", "action")
ASPECTS = ("instruction", "quality", "detail")
"""What the three lines of a basic reply rate, in their order. Their own names differ between the types of edits."""

REPOSITORY = "https://github.com/PKU-YuanGroup/ImgEdit"
COMMIT = "547185d12c08267a862b94248576e1746e479937"
JUDGE = Judge(("gpt-4o", "gpt-4o-2024-08-06"), {"temperature": None, "max_new_tokens": None})

_PROMPTS = "Benchmark/Basic/prompts.json"
_AS_IT_IS = ImageStep(media_type="image/png")  # whatever it is: the scripts do not look


def question(prompt: str, item: ItemFacts) -> Question:
    """Return the request about an edit."""
    text = TextPart(text=filled(prompt, {"<edit_prompt>": item.instruction}))
    return Question(name="score", parts=[text, *(ImagePart(image=i, step=_AS_IT_IS) for i in ("source", "edit"))])


def line_scores(reply: str) -> list[float]:
    """Return the numbers of all lines that are one text, a colon with a space, and digits; raises ``UnreadableReply``.

    Numbers outside of the scale count, and so does any number of lines.
    """
    lines = [line.strip().split(": ") for line in reply.splitlines()]
    numbers = [line[1] for line in lines if len(line) == 2 and line[1].isdigit()]
    if not numbers:
        raise UnreadableReply("the reply has no line of the form `name: number`")
    try:
        return [score_value(int(number)) for number in numbers]
    except ValueError as error:  # such as a superscript, which is a digit but no number
        raise UnreadableReply(f"{error}") from error


def rounded_mean(values: Iterable[float | None]) -> float | None:
    """Return the mean, rounded to two places; None if there is no value or one is missing."""
    mean = whole_mean(values)
    return None if mean is None else round(mean, 2)


class ImgEdit(Protocol):
    """The rules of the basic part."""

    def questions(self, item: ItemFacts) -> Sequence[Question]:
        prompts = self.texts.json(_PROMPTS)
        if not isinstance(prompts, dict) or not all(isinstance(prompt, str) for prompt in prompts.values()):
            raise OfficialError(f"{_PROMPTS} is not a JSON object of texts; is it the file of another version?")
        if item.category not in prompts:
            raise UnsuitableItem(f"there is no official prompt for edits of the type {item.category!r}")
        return (question(prompts[item.category], item),)

    def expected(self, item: ItemFacts) -> Mapping[str, tuple[str, ...]]:  # noqa: ARG002 - the same for every item
        return {"score": ("score",)}

    def read(self, item: ItemFacts, question: str, reply: str) -> Mapping[str, float]:  # noqa: ARG002 - likewise
        scores = line_scores(reply)
        aspects = dict(zip(ASPECTS, scores, strict=True)) if len(scores) == len(ASPECTS) else {}
        return {"score": round(sum(scores) / len(scores), 2), **aspects}

    def score(self, item: ItemFacts, dimensions: Mapping[str, float]) -> float:  # noqa: ARG002 - likewise
        return dimensions["score"]

    def numbers(self, items: Sequence[JudgedItem]) -> Numbers:
        types = dict.fromkeys((*EDIT_TYPES, *(judged.item.category for judged in items)))
        scores = {name: [judged.score for judged in items if judged.item.category == name] for name in types}
        values = {name: rounded_mean(of_type) for name, of_type in scores.items()}
        values["overall"] = rounded_mean(judged.score for judged in items)
        return Numbers(values, "overall", off_scale(items, 1, 5))


PROTOCOL = ProtocolType(
    name="imgedit",
    meaning="ImgEdit-Bench, basic: nine types of edits, three ratings each.",
    formats=("imgedit",),
    items={"imgedit": 737},
    dimensions=(Dimension("score", 1, 5), *(Dimension(name, 1, 5) for name in ASPECTS)),
    scale=(1, 5),
    judge=JUDGE,
    official=OfficialFiles(
        repository=REPOSITORY,
        paths=(_PROMPTS,),
        tried={COMMIT: {_PROMPTS: "f9468dc848776ee0a6c2e2c31e678c7224e9cb61b013747c8c52d4a05627b5a0"}},
    ),
    make=ImgEdit,
)
