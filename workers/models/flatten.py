"""Images with transparency as the models see them."""

from __future__ import annotations

from PIL import Image


def flatten(image: Image.Image) -> Image.Image:
    """Return ``image`` as RGB of the same size, on white.

    Dropping the alpha channel instead would show the colours of transparent pixels, often black or noise.
    """
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    rgba = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")
