"""ImgEdit-Bench, UGE (understanding, grounding, editing), from https://github.com/PKU-YuanGroup/ImgEdit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocol.messages import Question
from scheduler.protocols.declaration import Dimension, ItemFacts, JudgedItem, Numbers, Protocol, ProtocolType
from scheduler.protocols.imgedit import COMMIT, JUDGE, REPOSITORY, line_scores, question, rounded_mean
from scheduler.protocols.official import OfficialFiles
from scheduler.protocols.readings import off_scale

_SCRIPT = "Benchmark/UGE/UGE_bench.py"


class ImgEditUGE(Protocol):
    """The rules of the UGE part. Its prompt shows no line for the score, so a judge may give none."""

    def questions(self, item: ItemFacts) -> Sequence[Question]:
        return (question(self.texts.constant(_SCRIPT, "prompt"), item),)

    def expected(self, item: ItemFacts) -> Mapping[str, tuple[str, ...]]:  # noqa: ARG002 - the same for every item
        return {"score": ("score",)}

    def read(self, item: ItemFacts, question: str, reply: str) -> Mapping[str, float]:  # noqa: ARG002 - likewise
        scores = line_scores(reply)
        return {"score": round(sum(scores) / len(scores), 2)}

    def score(self, item: ItemFacts, dimensions: Mapping[str, float]) -> float:  # noqa: ARG002 - likewise
        return dimensions["score"]

    def numbers(self, items: Sequence[JudgedItem]) -> Numbers:
        values = {"average": rounded_mean(judged.score for judged in items)}
        return Numbers(values, "average", off_scale(items, 1, 5))


PROTOCOL = ProtocolType(
    name="imgedit_uge",
    meaning="ImgEdit-Bench, UGE: hard edits, one rating each.",
    formats=("imgedit_uge",),
    items={"imgedit_uge": 47},
    dimensions=(Dimension("score", 1, 5),),
    scale=(1, 5),
    judge=JUDGE,
    official=OfficialFiles(
        repository=REPOSITORY,
        paths=(_SCRIPT,),
        tried={COMMIT: {_SCRIPT: "f179b88b5f46d8acc2736d38af1ad4e0570a3d2d30148ca3ea02bf85f2960391"}},
    ),
    make=ImgEditUGE,
)
