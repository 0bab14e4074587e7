"""``transformers serve`` for tests: as it is, but for the processor's video part where torchvision is missing."""

from __future__ import annotations

from typing import Any


def main() -> None:
    """Serve, with the arguments of ``transformers``."""
    from transformers.cli import transformers as command_line
    from transformers.cli.serving.model_manager import ModelManager
    from transformers.utils import is_torchvision_available

    from workers.models.processors import load_processor

    def without_video(_manager: Any, model_id_and_revision: str, *_more: Any, **_named: Any) -> Any:
        return load_processor(model_id_and_revision.partition("@")[0])

    if not is_torchvision_available():
        ModelManager._load_processor = without_video
    command_line.main()


if __name__ == "__main__":
    main()
