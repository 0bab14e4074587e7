"""Builds the processor (image processor + tokenizer) of a vision model, with or without torchvision.

The stock processors have a video part that transformers refuses to build without torchvision, and for a CPU-only
torch there may be no torchvision to install. No model here sees videos, so without torchvision the same class is
built without that part, with the image processor that needs only Pillow. With torchvision the stock one is used.

The module of Pixtral's processor cannot even be imported without torchvision. FLUX.2 hands it text, unless the
instruction is to be rewritten first, so a processor of text stands for it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROCESSOR_CLASSES = ("Qwen2VLProcessor", "Qwen2_5_VLProcessor", "Qwen3VLProcessor")
TEXT_PROCESSOR_CLASSES = ("PixtralProcessor",)
TEXT_PROCESSOR = "TextProcessor"
_CONFIG_FILES = ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json")


def load_processor(
    path: str, *, subfolder: str | None = None, min_pixels: int | None = None, max_pixels: int | None = None
) -> Any:
    """Return the processor of the model in ``path``, a name on the hub or a local folder (no network requests).

    Its files may be in a ``subfolder``. Images with fewer than ``min_pixels`` are enlarged, those with more than
    ``max_pixels`` reduced; None is the model's own limit.

    Raises:
        OSError: the files are not there or cannot be read.
        ValueError: the files name no known processor.
    """
    from transformers.utils import is_torchvision_available

    where = _Location(path, subfolder)
    name = _processor_class_name(where)
    if is_torchvision_available():
        return _stock_processor(name, where, min_pixels, max_pixels)
    return _slim_processor(name, where, min_pixels, max_pixels)


def load_text_processor(path: str, *, subfolder: str) -> Any:
    """Return what stands for the processor in a local folder where only text is processed.

    None with torchvision: the stock processor can be loaded.
    """
    import transformers
    from transformers.utils import is_torchvision_available

    if is_torchvision_available():
        return None
    where = _Location(path, subfolder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(where.name, **where.options)
    return _text_processor_class()(tokenizer, chat_template=_chat_template(where, tokenizer))


class _Location:
    """Where the files of a processor are, in the terms of ``from_pretrained``."""

    def __init__(self, path: str, subfolder: str | None) -> None:
        local = Path(path)
        if local.is_dir():
            self.name = str(local / subfolder if subfolder else local)
            self.options: dict[str, Any] = {"local_files_only": True}
        else:
            self.name = path
            self.options = {"subfolder": subfolder or ""}

    def read(self, file_name: str) -> dict[str, Any]:
        """The content of a JSON file, empty if there is no such file."""
        file = self.find(file_name)
        content = json.loads(file.read_text(encoding="utf-8")) if file else {}
        return content if isinstance(content, dict) else {}

    def find(self, file_name: str) -> Path | None:
        """The local path of a file, downloaded if the model is on the hub; None if there is no such file."""
        from transformers.utils import cached_file

        path = cached_file(self.name, file_name, _raise_exceptions_for_missing_entries=False, **self.options)
        return Path(path) if path else None


def _processor_class_name(where: _Location) -> str:
    for file_name in _CONFIG_FILES:
        name = where.read(file_name).get("processor_class")
        if name in PROCESSOR_CLASSES:
            return str(name)
        if name is not None:
            known = ", ".join(PROCESSOR_CLASSES)
            raise ValueError(f"{where.name}/{file_name} names the processor {name!r}; known are {known}")
    raise ValueError(f"{where.name} has no processor: none of {', '.join(_CONFIG_FILES)} names a processor_class")


def _stock_processor(name: str, where: _Location, min_pixels: int | None, max_pixels: int | None) -> Any:
    import transformers

    processor = getattr(transformers, name).from_pretrained(where.name, **where.options)
    if min_pixels is not None or max_pixels is not None:
        image_processor = type(processor.image_processor)
        limits = _pixel_limits(where, min_pixels, max_pixels)
        processor.image_processor = image_processor.from_pretrained(where.name, **where.options, **limits)
    return processor


def _slim_processor(name: str, where: _Location, min_pixels: int | None, max_pixels: int | None) -> Any:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(where.name, **where.options)
    limits = _pixel_limits(where, min_pixels, max_pixels)
    image_processor = _pil_image_processor_class().from_pretrained(where.name, **where.options, **limits)
    slim = _without_video(getattr(transformers, name))
    return slim(image_processor, tokenizer, chat_template=_chat_template(where, tokenizer))


def _pil_image_processor_class() -> Any:
    """The image processor that needs only Pillow; before transformers 5 it has no suffix."""
    import transformers

    modern = getattr(transformers, "Qwen2VLImageProcessorPil", None)
    return transformers.Qwen2VLImageProcessor if modern is None else modern


def _without_video(base: Any) -> Any:
    """A subclass of the stock processor with an image processor and a tokenizer, without video.

    transformers reads a processor's parts from ``attributes`` before version 5, and from the names of the arguments
    of ``__init__`` since.
    """

    def __init__(self: Any, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:  # noqa: N807 - it is the subclass's
        base.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    body = {"__init__": __init__, "__module__": __name__, "attributes": ["image_processor", "tokenizer"]}
    return type(f"{base.__name__}WithoutVideo", (base,), body)


def _text_processor_class() -> Any:
    """A processor with a tokenizer alone, which has no class for images to convert."""
    from transformers import ProcessorMixin

    def __init__(self: Any, tokenizer: Any = None, chat_template: Any = None) -> None:  # noqa: N807 - it is the class's
        ProcessorMixin.__init__(self, tokenizer, chat_template=chat_template)

    def __call__(self: Any, images: Any = None, text: Any = None, **options: Any) -> Any:  # noqa: N807
        if images is not None:
            raise ValueError("images can be processed only with the package torchvision: install it")
        return self.tokenizer(text, **{name: value for name, value in options.items() if value is not None})

    body = {"__init__": __init__, "__call__": __call__, "__module__": __name__, "attributes": ["tokenizer"]}
    return type(TEXT_PROCESSOR, (ProcessorMixin,), {**body, "tokenizer_class": "AutoTokenizer"})


def _pixel_limits(where: _Location, min_pixels: int | None, max_pixels: int | None) -> dict[str, int]:
    """Limits to pass to the image processor by name, since transformers 4.57 ignores ``size`` in its file."""
    config = where.read("processor_config.json").get("image_processor") or where.read("preprocessor_config.json")
    size = config.get("size") or {}
    low = min_pixels or size.get("shortest_edge") or config.get("min_pixels")
    high = max_pixels or size.get("longest_edge") or config.get("max_pixels")
    limits = {"min_pixels": low, "max_pixels": high}
    return {name: int(value) for name, value in limits.items() if value}


def _chat_template(where: _Location, tokenizer: Any) -> Any:
    """The processor's own chat template where it has one, else the tokenizer's."""
    if own := where.read("chat_template.json").get("chat_template"):
        return own
    if jinja := where.find("chat_template.jinja"):
        return jinja.read_text(encoding="utf-8")
    return tokenizer.chat_template
