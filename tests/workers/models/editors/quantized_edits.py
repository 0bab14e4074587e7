"""Prints what editors with quantized weights hold and make, as JSON. It runs where torchao is on the path."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from tests.workers.models.editors.tiny_edits import edit, loaded, request


def main(folder: Path) -> None:
    wanted = request(steps=2)
    whole = loaded(folder, dtype="bfloat16")
    pixels, size = edit(whole, wanted), whole.size_bytes()
    figures = {}
    for kind in ("int8", "float8"):
        for offload in ("none", "model"):
            editor = loaded(folder, dtype="bfloat16", quantization=kind, offload=offload)
            made = edit(editor, wanted)
            editor.place("host")
            editor.place("device")
            figures[f"{kind} {offload}"] = {
                "size": editor.size_bytes() / size,
                "host": editor.host_bytes() / editor.size_bytes(),
                "difference": float(np.abs(made - pixels).mean()),
                "same again": bool(np.array_equal(edit(editor, wanted), made)),
                "vae": type(next(editor._pipeline.vae.parameters()).data).__name__,
                "transformer": type(editor._pipeline.transformer.transformer_blocks[0].attn.to_q.weight).__name__,
            }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
