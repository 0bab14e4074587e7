"""The request for an edit (`/v1/images/edits`, a form with files), and what its reply says."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from PIL.Image import Image

from workers.interface import EditRequest, ModelError
from workers.models.served.connection import Request
from workers.models.served.replies import Failure, bad_reply, error_of, gateway_failure, refusal

MAX_EDIT_REPLY = 256 * 2**20
"""The most bytes of a reply that are read: a PNG of the largest accepted image, in base64."""

_FIELDS = ("num_inference_steps", "true_cfg_scale", "guidance_scale", "negative_prompt")


class _Made(Struct, frozen=True):
    b64_json: str | None = None
    url: str | None = None


class _Reply(Struct, frozen=True):
    data: list[_Made] | None = None
    error: Any = None


def edit_request(request: EditRequest, model: str, *, is_openai: bool) -> Request[Image]:
    """The request for an edit; its answer is the image. ``is_openai``: to OpenAI's own server."""
    from workers.codecs import encode_png

    fields = _fields(request, model, is_openai=is_openai)
    name = "image" if len(request.images) == 1 else "image[]"
    files = [(name, (f"{number}.png", encode_png(image), "image/png")) for number, image in enumerate(request.images)]

    def read(status: int, headers: Mapping[str, str], reply: bytes) -> Image | Failure:
        return read_edit(status, headers, reply, fields)

    return Request("/images/edits", {"body": fields, "files": files}, "multipart/form-data", read)


def _fields(request: EditRequest, model: str, *, is_openai: bool) -> dict[str, str]:
    """The fields of the form, beside the images."""
    given = request.parameters
    fields: dict[str, Any] = {"model": model, "prompt": request.instruction, "n": 1}
    if not is_openai:  # it refuses both, and always answers with the image itself
        fields |= {"response_format": "b64_json", "seed": request.seed}
    fields |= {name: given[name] for name in _FIELDS if given.get(name) is not None}
    if given.get("width") and given.get("height"):
        fields["size"] = f"{given['width']}x{given['height']}"
    fields |= given.get("parameters") or {}
    return {name: _text(value) for name, value in fields.items() if value is not None}


def read_edit(status: int, headers: Mapping[str, str], reply: bytes, sent: Mapping[str, str]) -> Image | Failure:
    """What the server's reply says: the image, or why there is none. An address in its place is not fetched."""
    if not 200 <= status < 300:
        return refusal(status, headers, error_of(reply), sent.keys())
    try:
        made = msgspec.json.decode(reply, type=_Reply)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return bad_reply(headers, reply, error)
    if not made.data:
        if made.error is not None:
            return gateway_failure(headers, reply, sent.keys())
        return Failure("bad_reply", "the reply has no image", again=True)
    first = made.data[0]
    if first.b64_json is not None:
        image = _read_image(first.b64_json)
        return image if isinstance(image, Failure) else _with_size(image, sent.get("size", ""))
    if first.url is not None:  # so would all others
        message = "the server answers with the address of an image, and does not accept the parameter"
        return Failure("bad_parameter", f"{message} `response_format: b64_json`, or ignores it")
    return Failure("bad_reply", "the reply has no image", again=True)


def _read_image(text: str) -> Image | Failure:
    from workers.codecs import decode_image

    try:
        return decode_image(base64.b64decode(text, validate=True))
    except ValueError as error:
        return Failure("bad_reply", f"the image is no base64: {error}", again=True)
    except ModelError as error:
        again = error.kind != "image_too_large"
        return Failure("bad_reply", f"the server's image can't be read: {error}", again=again)


def _with_size(image: Image, size: str) -> Image | Failure:
    made = f"{image.width}x{image.height}"
    if made == size or not re.fullmatch(r"\d+x\d+", size):
        return image
    message = f"the server does not accept the parameter `size`, or ignores it: it made {made} of {size}"
    return Failure("bad_parameter", f"{message}; leave out height and width, or write a size that it makes")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
