"""An editor's server for tests: `/v1/images/edits`, with the faults of ``OpenAIServer``.

An edit is the inverted source, with the seed in the corner pixel; ``answer=`` gives another PNG for a request.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from email import message_from_bytes
from typing import Any

from PIL import Image, ImageOps

from tests.openai_request import Request
from tests.openai_server import OpenAIServer


class ImageServer(OpenAIServer):
    """A request's ``body`` has the fields of the form, and ``images`` as base64."""

    PATH = "/images/edits"

    def _body(self, headers: Mapping[str, str], content: bytes) -> dict[str, Any]:
        head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
        body: dict[str, Any] = {"images": []}
        for part in message_from_bytes(head + content).get_payload():
            assert not isinstance(part, str)
            name, data = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
            assert isinstance(data, bytes)
            if part.get_filename() is None:
                body[str(name)] = data.decode()
            else:
                body["images"].append([name, base64.b64encode(data).decode()])
        return body

    def _completion(self, request: Request, text: str | None, **more: Any) -> dict[str, Any]:
        return {"created": 1, "data": [{"b64_json": base64.b64encode(edited(request)).decode()}]}


def edited(request: Request) -> bytes:
    """The edit that the server makes."""
    source = Image.open(io.BytesIO(base64.b64decode(request.body["images"][0][1]))).convert("RGB")
    made = ImageOps.invert(source)
    if "size" in request.body:
        width, height = map(int, request.body["size"].split("x"))
        made = made.resize((width, height))
    made.putpixel((0, 0), (int(request.body.get("seed", 0)) % 256, 0, 0))
    stream = io.BytesIO()
    made.save(stream, "PNG")
    return stream.getvalue()
