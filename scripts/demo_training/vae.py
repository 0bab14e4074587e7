"""The tiny VAE: the real class, which reduces by 32, and what of it is trained.

The drawings have few details, so the three outer levels, which cost the most, only resample: they average 2x2 pixels on
the way in and interpolate on the way out. The inner levels are trained, on pictures of an eighth of the size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from scripts.tiny_models.weights import fill_weights

CHANNELS = 15
REDUCED = 8
"""By how much the outer levels reduce a picture."""

_LEVELS, _OUTER = 5, 3
_WIDTH = 16
# The last norm divides by the length of a pixel's channels. One channel is so large that this is nearly constant, and
# the others so small that the activation after it is nearly linear: what comes out is the picture that went in.
_LARGE, _SMALL = 1000.0, 0.1


def new_vae() -> Any:
    """An ``AutoencoderKLQwenImage`` whose outer levels resample, and whose inner ones have random weights."""
    import torch
    from diffusers import AutoencoderKLQwenImage

    vae = AutoencoderKLQwenImage(
        base_dim=_WIDTH,
        z_dim=CHANNELS,
        dim_mult=[1] * (_LEVELS + 1),
        num_res_blocks=0,
        temperal_downsample=[False] * _LEVELS,
        latents_mean=[0.0] * CHANNELS,
        latents_std=[1.0] * CHANNELS,
    )
    fill_weights(vae, seed=0)
    with torch.no_grad():
        _switch_off_branches(vae)
        _make_outer_encoder(vae.encoder)
        _make_outer_decoder(vae.decoder)
    return vae


def inner_parameters(vae: Any) -> list[Any]:
    """The parameters that are trained; the others need no gradient from now on."""
    encoder, decoder = vae.encoder, vae.decoder
    levels = _LEVELS - _OUTER
    outer = [encoder.conv_in, *encoder.down_blocks[:_OUTER], decoder.up_blocks[levels].upsamplers]
    outer += [*decoder.up_blocks[levels + 1 :], decoder.norm_out, decoder.conv_out]
    for module in outer:
        module.requires_grad_(requires_grad=False)
    return [parameter for parameter in vae.parameters() if parameter.requires_grad]


def encode_reduced(vae: Any, pictures: Any) -> Any:
    """The latents of pictures that were reduced already: ``(n, 3, 1, height / 8, width / 8)``, from -1 to 1."""
    encoder = vae.encoder
    hidden = encoder.conv_in(pictures)
    for block in encoder.down_blocks[_OUTER:]:
        hidden = block(hidden)
    hidden = encoder.conv_out(encoder.nonlinearity(encoder.norm_out(encoder.mid_block(hidden))))
    return vae.quant_conv(hidden)[:, :CHANNELS]


def decode_reduced(vae: Any, latents: Any) -> Any:
    """The pictures of latents as ``encode_reduced`` takes them."""
    decoder, levels = vae.decoder, _LEVELS - _OUTER
    hidden = decoder.mid_block(decoder.conv_in(vae.post_quant_conv(latents)))
    for block in decoder.up_blocks[:levels]:
        hidden = block(hidden)
    return decoder.up_blocks[levels].resnets[0](hidden)[:, :3]


@contextmanager
def single_frames(vae: Any) -> Iterator[None]:
    """Make convolutions over time cheaper for single images, with the same results up to rounding.

    The frames before the first one are zeros, so only the last slice of a kernel has any effect.
    """
    from diffusers.models.autoencoders.autoencoder_kl_qwenimage import QwenImageCausalConv3d

    convolutions = [module for module in vae.modules() if isinstance(module, QwenImageCausalConv3d)]
    for convolution in convolutions:
        convolution.forward = partial(_in_two_dimensions, convolution)
    try:
        yield
    finally:
        for convolution in convolutions:
            del convolution.forward


def _in_two_dimensions(convolution: Any, images: Any, cache_x: Any = None) -> Any:
    from torch.nn.functional import conv2d

    del cache_x  # of earlier frames, which an image does not have
    width, _, height = convolution._padding[:3]
    kernel = convolution.weight[:, :, -1]
    return conv2d(images[:, :, 0], kernel, convolution.bias, padding=(height, width)).unsqueeze(2)


def _switch_off_branches(vae: Any) -> None:
    """Begin with every residual branch at zero; and make up for the two of three slices of a kernel without effect."""
    for name, parameter in vae.named_parameters():
        if name.endswith(("conv2.weight", "proj.weight")):
            parameter.zero_()
        elif parameter.ndim == 5 and parameter.shape[2] == 3:
            parameter.mul_(3**0.5)


def _make_outer_encoder(encoder: Any) -> None:
    encoder.conv_in.weight.zero_()
    for colour in range(3):
        encoder.conv_in.weight[colour, colour, -1, 1, 1] = 1
    for block in encoder.down_blocks[:_OUTER]:
        convolution = block.resample[1]
        convolution.weight.zero_()
        for colour in range(3):
            convolution.weight[colour, colour, :2, :2] = 1 / 4


def _make_outer_decoder(decoder: Any) -> None:
    import torch

    line = torch.tensor([1 / 4, 1 / 2, 1 / 4])
    for level in range(_LEVELS - _OUTER, _LEVELS):
        enlarge = decoder.up_blocks[level].upsamplers[0].resample[1]
        keep = decoder.up_blocks[level + 1].resnets[0].conv_shortcut
        enlarge.weight.zero_()
        keep.weight.zero_()
        for colour in range(3):
            enlarge.weight[colour, colour] = line[:, None] * line
            keep.weight[colour, colour] = 1
    decoder.up_blocks[_LEVELS].resnets[0].conv_shortcut.bias[-1] = _LARGE
    decoder.norm_out.gamma.fill_(_SMALL)
    decoder.conv_out.weight.zero_()
    for colour in range(3):
        decoder.conv_out.weight[colour, colour, -1, 1, 1] = 2 * _LARGE / (_WIDTH**0.5 * _SMALL)
