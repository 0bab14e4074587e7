"""An editor's server for tests: `/v1/images/edits`, with the faults of ``OpenAIServer``.

An edit is the inverted source, with the seed in the corner pixel; ``made=`` gives another reply to a request. As a
program, for a server that is a process of its own: ``python -m tests.image_server --port 8000 --latency 0.1``.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from email import message_from_bytes
from typing import Any

from PIL import Image, ImageOps

from tests.openai_request import Request
from tests.openai_server import OpenAIServer, serve


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

    def __init__(self, *, made: Callable[[Request], dict[str, Any]] | None = None, **more: Any) -> None:
        super().__init__(**more)
        self._made = made or (lambda request: in_base64(edited(request)))

    def _completion(self, request: Request, text: str | None, **more: Any) -> dict[str, Any]:
        return self._made(request)


def in_base64(image: bytes) -> dict[str, Any]:
    """The reply that has this image."""
    return {"created": 1, "data": [{"b64_json": base64.b64encode(image).decode()}]}


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


if __name__ == "__main__":
    serve(ImageServer)
