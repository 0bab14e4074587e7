"""How an editor and a judge fit on one GPU, alone and together."""

from __future__ import annotations

from workers.models.fitting import GPUS, PartSize, ways
from workers.models.sharing import alone, together


def part(name: str, layers: int, beside: int = 0) -> PartSize:
    """Some layers of one billion weights each in bfloat16, and embeddings of so many."""
    found = PartSize(name)
    for number in range(layers):
        found.add(f"model.layers.{number}.linear.weight", (20_000, 50_000), 2_000_000_000)
    if beside:
        found.add("model.embed_tokens.weight", (1000, beside * 10**6), 2_000_000_000 * beside)
    return found


EDITOR = ways([part("transformer", 20), part("text_encoder", 8)], "editor")
"""56 GB."""
JUDGE = ways([part("judge", 30, beside=1)], "reward")
"""62 GB."""
EXPERTS = PartSize("mixture")
for number in range(30):
    EXPERTS.add(f"model.layers.{number}.mlp.experts.0.gate_proj.weight", (20_000, 50_000), 2_000_000_000)


def test_the_whole_model_is_best_then_an_exact_way_beside_a_quantized_one() -> None:
    assert alone(EDITOR) == {
        "24 GB": "offload: group or quantization: nf4",
        "48 GB": "offload: group or quantization: int8",
        "80 GB": "whole",
        "141 GB": "whole",
    }
    assert [way.keys for way in JUDGE] == [
        "whole",
        "gpus_per_worker: 2",
        "gpus_per_worker: 4",
        "offload: group",
        "quantization: int8",
        "quantization: nf4",
    ]
    assert alone(JUDGE)["48 GB"] == "offload: group or quantization: int8"
    assert alone(JUDGE)["80 GB"] == "whole"


def test_of_a_judge_the_embeddings_and_one_layer_stay_when_layers_are_offloaded() -> None:
    assert next(way for way in JUDGE if way.keys == "offload: group").size == 4_000_000_000


def test_experts_stay_as_they_are() -> None:
    sizes = {way.keys: way.size for way in ways([EXPERTS], "reward")}
    assert sizes["quantization: int8"] == sizes["quantization: nf4"] == sizes["whole"]


def test_both_are_resident_where_there_is_room_else_they_take_turns() -> None:
    assert together(EDITOR, JUDGE) == {
        "24 GB": "swap; editor offload: group or quantization: nf4; judge offload: group",
        "48 GB": "swap; editor offload: group or quantization: int8; judge offload: group or quantization: int8",
        "80 GB": "swap",
        "141 GB": "resident",
    }
    hopeless = ways([part("judge", 1, beside=30)], "reward")
    assert together(EDITOR, hopeless)["48 GB"] == "does not fit: judge"
    assert [*together(EDITOR, JUDGE)] == [*GPUS]
