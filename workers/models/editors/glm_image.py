"""The image encoder of GLM-Image as diffusers 0.42 expects it.

transformers 5.23 returns the features of each source image as a grid. The pipeline joins them as if they were rows,
which was their form in earlier versions, and fails with every source image.
"""

from __future__ import annotations

from typing import Any


def return_rows(encoder: Any) -> None:
    """Let this ``GlmImageForConditionalGeneration`` give rows of features to the pipeline, and take them back.

    The pipeline passes its arguments by position, transformers by name.
    """
    if getattr(encoder, "_warmbench_rows", False):
        return  # the module comes from another pipeline
    encoder._warmbench_rows = True
    features, tokens = encoder.get_image_features, encoder.get_image_tokens

    def get_image_features(*args: Any, **kwargs: Any) -> Any:
        found = features(*args, **kwargs)
        if args:
            found.pooler_output = [grid.flatten(1).T for grid in found.pooler_output]
        return found

    def get_image_tokens(hidden_states: Any, image_grid_thw: Any = None) -> Any:
        sizes = image_grid_thw.tolist()
        images = hidden_states.split([height * width for _, height, width in sizes])
        grids = [rows.T.unflatten(1, (height, width)) for rows, (_, height, width) in zip(images, sizes, strict=True)]
        return tokens(grids, image_grid_thw)

    encoder.get_image_features, encoder.get_image_tokens = get_image_features, get_image_tokens
