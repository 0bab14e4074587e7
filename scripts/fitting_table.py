"""Writes the table in ``docs/layouts.md``: which model fits on which GPU, alone and in pairs.

Usage: ``python -m scripts.fitting_table [--check]``. With ``--check`` nothing is written; exit code 1 says that the
table is out of date. The sizes are those of the classes of diffusers and transformers with the configurations of the
published checkpoints, on the meta device: no weights are needed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.full_size import kontext
from scripts.full_size.architectures import architecture
from scripts.full_size.build import meta_shapes, reward_weights
from scripts.full_size.weights import Shape
from scripts.tiny_models.editor import COMPONENTS
from workers.models.fitting import GPUS, PartSize, Way, ways
from workers.models.sharing import alone, together

FILE = Path(__file__).resolve().parents[1] / "docs" / "layouts.md"
_BYTES = 2
_TABLE = re.compile(r"(?<=<!-- fitting -->\n\n).*?(?=\n\n<!-- end -->)", re.DOTALL)

_FLUX_2: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "transformer": ("Flux2Transformer2DModel", {}),  # the defaults of the class are FLUX.2-dev's
    "vae": ("AutoencoderKLFlux2", {}),
    "text_encoder": (
        "Mistral3ForConditionalGeneration",
        {
            "model_type": "mistral3",
            "tie_word_embeddings": False,
            "text_config": {
                "model_type": "mistral",
                "tie_word_embeddings": False,
                "head_dim": 128,
                "hidden_size": 5120,
                "intermediate_size": 32768,
                "num_attention_heads": 32,
                "num_hidden_layers": 40,
                "num_key_value_heads": 8,
                "vocab_size": 131072,
            },
            "vision_config": {
                "model_type": "pixtral",
                "head_dim": 64,
                "hidden_size": 1024,
                "intermediate_size": 4096,
                "num_attention_heads": 16,
                "num_hidden_layers": 24,
                "patch_size": 14,
            },
        },
    ),
}


def _qwen3_vl(hidden: int, inner: int, vision: int, *, tied: bool) -> dict[str, Any]:
    """Of the dense Qwen3-VL with 36 layers; ``vision`` is the depth of its vision tower."""
    large = vision == 27
    return {
        "model_type": "qwen3_vl",
        "tie_word_embeddings": tied,
        "text_config": {
            "model_type": "qwen3_vl_text",
            "head_dim": 128,
            "hidden_size": hidden,
            "intermediate_size": inner,
            "num_attention_heads": 32,
            "num_hidden_layers": 36,
            "num_key_value_heads": 8,
            "tie_word_embeddings": tied,
            "vocab_size": 151936,
        },
        "vision_config": {
            "model_type": "qwen3_vl",
            "depth": vision,
            "deepstack_visual_indexes": [8, 16, 24] if large else [5, 11, 17],
            "hidden_size": 1152 if large else 1024,
            "intermediate_size": 4304 if large else 4096,
            "num_heads": 16,
            "num_position_embeddings": 2304,
            "out_hidden_size": hidden,
            "patch_size": 16,
        },
    }


def editors() -> dict[str, list[PartSize]]:
    """The components of each editor."""
    full = architecture("full", None)
    qwen = {"transformer": full.transformer, "text_encoder": full.text_encoder, "vae": full.vae}
    return {
        "Qwen-Image-Edit": [_part(name, meta_shapes(COMPONENTS[name][1], config)) for name, config in qwen.items()],
        "FLUX.1 Kontext": [
            _part(name, meta_shapes(kontext.COMPONENTS[name][1], config)) for name, config in full.kontext.items()
        ],
        "FLUX.2 dev": [_part(name, meta_shapes(kind, config)) for name, (kind, config) in _FLUX_2.items()],
    }


def judges() -> dict[str, list[PartSize]]:
    """Each judge, as one component."""
    dense = "Qwen3VLForConditionalGeneration"
    small, large = _qwen3_vl(2560, 9728, 24, tied=True), _qwen3_vl(4096, 12288, 27, tied=False)
    return {
        "Qwen3-VL-4B": [_part("judge", meta_shapes(dense, small))],
        "Qwen3-VL-8B": [_part("judge", meta_shapes(dense, large))],
        "Qwen3-VL-30B-A3B": [_part("judge", reward_weights(architecture("full", None).reward))],
    }


def _part(name: str, shapes: Mapping[str, Shape]) -> PartSize:
    part = PartSize(name)
    for weight, shape in shapes.items():
        size = _BYTES
        for length in shape:
            size *= length
        part.add(weight, shape, size)
    return part


def table() -> str:
    """The two tables: each model alone, and each editor with each judge."""
    of_editors = {name: ways(parts, "editor") for name, parts in editors().items()}
    of_judges = {name: ways(parts, "reward") for name, parts in judges().items()}
    return "\n".join(
        [
            *_head("model", "weights"),
            *(_row(name, _size(found), alone(found)) for name, found in (of_editors | of_judges).items()),
            "",
            *_head("editor", "judge"),
            *(
                _row(editor, judge, together(of_editor, of_judge))
                for editor, of_editor in of_editors.items()
                for judge, of_judge in of_judges.items()
            ),
        ]
    )


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join([*names, *GPUS])} |", f"|{'---|' * (len(names) + len(GPUS))}"]


def _row(first: str, second: str, cells: Mapping[str, str]) -> str:
    return f"| {' | '.join([first, second, *map(_marked, cells.values())])} |"


def _size(found: Sequence[Way]) -> str:
    return f"{found[0].size / 1e9:.1f} GB"


def _marked(cell: str) -> str:
    """The cell with its keys as code."""
    return re.sub(r"(?:offload|quantization): \w+(?:, quantization: \w+)?", lambda found: f"`{found[0]}`", cell)


def page(text: str) -> str:
    """The page with the table of now."""
    made = table()
    return _TABLE.sub(lambda _: made, text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.fitting_table", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the table is out of date")
    options = parser.parse_args(arguments)
    text = FILE.read_text(encoding="utf-8")
    now = page(text)
    if now != text and options.check:
        print(f"{FILE} is out of date: run python -m scripts.fitting_table")
        return 1
    FILE.write_text(now, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
