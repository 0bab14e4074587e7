"""A job's images and results; the first job takes no longer than any other."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from protocol.messages import ImagePart, ImageStep, Prompt, Question, Role, Score, ScoreItem, TextPart
from tests.workers.image_files import file_of, picture
from workers.codecs import decode_image
from workers.interface import ModelError
from workers.payloads import decode_batch, decode_sources

_FIRST_JOB = """
import io, sys
from PIL import Image
from protocol.messages import Edit
from workers.codecs import decode_image
from workers.payloads import encode_edit, warm_up
from workers.thumbnail_maker import make_thumbnail

warm_up(sys.argv[1])
before = set(sys.modules)
for kind in ("PNG", "JPEG"):
    file = io.BytesIO()
    Image.new("RGB", (600, 400)).save(file, kind)
    source = decode_image(file.getvalue())
if sys.argv[1] == "editor":
    message = Edit(run="r", incarnation="i", epoch=1, job="j", key="k", round=0, instruction="", seed=1, parameters={})
    encode_edit(message, source, 1.0, 2.0, make_thumbnail(source))
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("role", ["editor", "reward"])
def test_after_the_warm_up_a_job_imports_nothing(role: Role) -> None:
    result = subprocess.run([sys.executable, "-c", _FIRST_JOB, role], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_the_worker_of_a_reward_starts_without_numpy() -> None:
    code = "import sys, workers.worker, workers.payloads as p; p.warm_up('reward'); print('numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


SHOWN = ImageStep(rgb=True, size_of="source", encoding="jpeg")
COMPARED = Question(
    name="compared", parts=[TextPart(text="?"), ImagePart(image="source"), ImagePart(image="edit", step=SHOWN)]
)
ALONE = Question(name="alone", parts=[ImagePart(image="edit", step=SHOWN)])


def batch(*items: ScoreItem) -> Score:
    return Score(run="r", incarnation="i", epoch=1, job="j", items=list(items), parameters={})


def test_a_question_is_shown_its_images_after_their_steps() -> None:
    source, edit = file_of(picture("RGB", (30, 20))), file_of(picture("RGBA", (9, 9)))
    prompt = Prompt(system="", user="good?")
    message = batch(
        ScoreItem(item="1", key="a/1", question=COMPARED),
        ScoreItem(item="2", key="a/1", question=ALONE),
        ScoreItem(item="3", key="a/1", prompts=[prompt], with_source=True),
    )
    compared, alone, prompted = decode_batch(message, [source, edit, edit, source, edit, source])
    (request,) = compared.requests
    assert (request.prompt, request.key) == (Prompt(aspect="compared", system="", user=""), "a/1")
    assert request.question == COMPARED
    assert request.image_sha256 == hashlib.sha256(edit).hexdigest()
    assert [image.media_type for image in request.shown] == ["image/png", "image/jpeg"]
    assert request.shown[0].data == source
    assert decode_image(request.shown[1].data).size == (30, 20)
    assert alone.requests[0].shown == request.shown[1:]
    (request,) = prompted.requests
    assert (request.image.size, request.prompt, request.question, request.shown) == ((9, 9), prompt, None, ())


def test_a_question_whose_image_cannot_be_decoded_fails_alone() -> None:
    good, broken = file_of(picture()), file_of(picture())[:50]
    items = [ScoreItem(item=name, key=name, question=COMPARED) for name in ("1", "2", "3")]
    first, second, third = decode_batch(batch(*items), [good, broken, broken, good, good, good])
    (judgement,) = first.failed
    assert (judgement.aspect, judgement.kind, judgement.score) == ("compared", "bad_image", None)
    assert "image 'edit' of the question: the image cannot be decoded" in (judgement.message or "")
    # The source is shown as it is, so nobody but the judge decodes it: only its size is read.
    assert [len(item.requests) for item in (first, second, third)] == [0, 1, 1]


def test_all_source_images_of_an_edit_are_decoded_and_a_broken_one_is_named() -> None:
    good, other, broken = file_of(picture()), file_of(picture("RGBA", (9, 9))), file_of(picture())[:50]
    assert [(image.mode, image.size) for image in decode_sources([good, other])] == [("RGB", (7, 5)), ("RGBA", (9, 9))]
    with pytest.raises(ModelError, match=r"^source image 2: the image cannot be decoded"):
        decode_sources([good, broken])
    with pytest.raises(ModelError, match=r"^the image cannot be decoded"):
        decode_sources([broken, good])
