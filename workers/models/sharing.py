"""How a model fits on one GPU, alone and beside another one, with the least change. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workers.models.fitting import GPUS, WORKING_BYTES, Way

NONE = "does not fit"


def alone(ways: Sequence[Way]) -> dict[str, str]:
    """Return, for each kind of GPU, the ways in which one holds the model: the first exact one, unless that is the
    whole model also the first with quantized weights.
    """
    return {gpu: " or ".join(way.keys for way in _fitting(ways, gpu)) or NONE for gpu in GPUS}


def together(editor: Sequence[Way], judge: Sequence[Way]) -> dict[str, str]:
    """Return, for each kind of GPU, how one holds both: ``resident``, or ``swap`` with the keys that each needs."""
    whole = editor[0].size + judge[0].size + sum(WORKING_BYTES.values())
    return {
        gpu: "resident" if whole <= mebibytes * 2**20 else _swap({"editor": editor, "judge": judge}, gpu)
        for gpu, mebibytes in GPUS.items()
    }


def _swap(models: Mapping[str, Sequence[Way]], gpu: str) -> str:
    texts = ["swap"]
    for role, ways in models.items():
        fitting = _fitting(ways, gpu)
        if not fitting:
            return f"{NONE}: {role}"
        if fitting[0] != ways[0]:
            texts.append(f"{role} {' or '.join(way.keys for way in fitting)}")
    return "; ".join(texts)


def _fitting(ways: Sequence[Way], gpu: str) -> list[Way]:
    fitting = [way for way in ways if way.fits.get(gpu)]
    if fitting[:1] == [*ways[:1]]:
        return fitting[:1]
    exact = [way for way in fitting if "quantization" not in way.keys]
    quantized = [way for way in fitting if "quantization" in way.keys]
    return [*exact[:1], *quantized[:1]]
