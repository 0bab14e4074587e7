"""Weights that move to a device, here a second copy in CPU memory, and away, and never travel back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from scripts.mover.memory import mapped_files
from tests.workers.models.moving.small_model import (
    addresses,
    hashes,
    load,
    save,
    second_copy,
    tensors,
)
from workers.interface import ModelError
from workers.models.moving import mappings

PRIVATE = 24 * 8
"""The bytes of the buffer that is not in the file."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.fixture
def module(file: Path) -> Any:
    return load(file)


@pytest.fixture(params=[None, 1000], ids=["one buffer", "many buffers"])
def any_buffer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that fit into one buffer, and weights that are cut into pieces."""
    from workers.models.moving import staging

    if request.param:
        monkeypatch.setattr(staging, "BUFFER_BYTES", request.param)


@pytest.mark.usefixtures("any_buffer")
def test_the_device_has_equal_weights_at_other_addresses_and_the_host_the_same_pages_again(module: Any) -> None:
    import torch

    homes, before, made = addresses(module), hashes(module), module(torch.arange(9))
    mover = second_copy(module)
    for _ in range(3):
        mover.to_device()
        assert not set(addresses(module).values()) & set(homes.values())
        assert hashes(module) == before
        assert torch.equal(module(torch.arange(9)), made)
        mover.to_host()
        assert addresses(module) == homes
    assert hashes(module) == before


def test_parameters_stay_the_same_objects_and_tied_weights_stay_tied(module: Any) -> None:
    parameters = {id(parameter) for parameter in module.parameters()}
    second_copy(module).to_device()
    assert {id(parameter) for parameter in module.parameters()} == parameters
    assert module.head.weight is module.embedding.weight
    assert module.same.weight.data_ptr() == module.middle.weight.data_ptr()
    assert module.same.weight.stride() == (1, 24)


def test_what_no_file_has_is_counted_wherever_the_weights_are(module: Any) -> None:
    mover = second_copy(module)
    assert mover.private_bytes() == PRIVATE
    mover.to_device()
    assert mover.private_bytes() == PRIVATE
    module.middle.float().bias.data += 1
    mover.to_host()
    assert mover.private_bytes() == PRIVATE + 24 * 4


@pytest.mark.parametrize("how", ["in place", "without a trace", "replaced", "cast", "reordered", "a buffer"])
def test_what_changed_on_the_device_gets_one_home_of_its_own(module: Any, file: Path, how: str) -> None:
    import torch

    mover, homes = second_copy(module), addresses(module)
    mover.to_device()
    bias = module.middle.bias
    with torch.no_grad():
        match how:
            case "in place":
                bias += 1
            case "without a trace":
                bias.data += 1  # torch counts no change of the parameter
            case "replaced":
                module.middle.bias = torch.nn.Parameter(bias + 1)
            case "cast":
                bias.data = bias.data.half()
            case "reordered":
                bias.copy_(bias.flip(0))
            case "a buffer":
                module.counts += 1
    changed = hashes(module)
    mover.to_host()
    assert hashes(module) == changed
    moved = {name for name, address in addresses(module).items() if address != homes[name]}
    assert moved == {"counts" if how == "a buffer" else "middle.bias"}
    own = addresses(module)
    mover.to_device()
    mover.to_host()
    assert (hashes(module), addresses(module)) == (changed, own)
    assert hashes(load(file)) != changed, "the file has the old weights"


def test_what_changed_in_mapped_pages_is_read_from_memory_and_not_from_the_file(module: Any, file: Path) -> None:
    import torch

    with torch.no_grad():
        module.middle.weight += 1  # as merging a LoRA does: these pages are private now
    merged, mover = hashes(module), second_copy(module)
    assert mover.private_bytes() >= PRIVATE + module.middle.weight.nbytes
    mover.to_device()
    assert hashes(module) == merged
    mover.to_host()
    assert hashes(module) == merged
    assert hashes(load(file)) != merged


def test_weights_of_which_no_copy_is_kept_get_one_when_they_first_leave(module: Any) -> None:
    before, mover = hashes(module), second_copy(module)
    scale = addresses(module)["scale"]
    mover.to_device(keep_private=False)
    assert mover.private_bytes() == PRIVATE, "it will be needed"
    mover.to_host()
    assert hashes(module) == before
    assert addresses(module)["scale"] != scale


def test_no_move_writes_to_the_pages_of_the_file(module: Any, file: Path) -> None:
    mover = second_copy(module)
    for _ in range(2):
        mover.to_device()
        mover.to_host()
    hashes(module)
    pages = mapped_files(os.getpid(), [file])
    assert pages.resident > 0
    assert pages.changed == 0


def test_a_truncated_file_is_stale_and_the_weights_stay_on_the_host(module: Any, file: Path) -> None:
    mover, homes = second_copy(module), addresses(module)
    os.truncate(file, file.stat().st_size - 100)
    with pytest.raises(ModelError, match=r"model\.safetensors was truncated after it was loaded: it ends") as caught:
        mover.to_device()
    assert caught.value.kind == "stale"
    assert addresses(module) == homes


def test_a_file_that_was_replaced_is_still_the_one_that_was_loaded(module: Any, file: Path) -> None:
    before, mover = hashes(module), second_copy(module)
    save(file.with_suffix(".new"), seed=1)
    file.with_suffix(".new").rename(file)
    mover.to_device()
    assert hashes(module) == before
    mover.to_host()
    assert hashes(module) == before


def test_descriptors_are_closed_with_the_mover(module: Any, file: Path) -> None:
    def open_files() -> int:
        return sum(os.path.realpath(f"/proc/self/fd/{name}") == str(file) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208

    mover = second_copy(module)
    assert open_files() == 1
    mover.to_device()
    del mover
    assert open_files() == 0


def test_on_a_cpu_nothing_moves(module: Any) -> None:
    from workers.models.moving.mover import Mover

    homes, mover = addresses(module), Mover([module], "cpu")
    mover.to_device()
    assert addresses(module) == homes
    mover.to_host()
    assert addresses(module) == homes


@pytest.mark.slow
def test_weights_in_eight_bits_that_each_pass_widens_and_narrows_have_one_private_copy(module: Any) -> None:
    import torch
    from diffusers.hooks import apply_layerwise_casting

    mover = second_copy(module)
    mover.to_device(keep_private=False)
    apply_layerwise_casting(module, torch.float8_e4m3fn, torch.float32, skip_modules_pattern=("embedding", "head"))
    made, before = module(torch.arange(9)), hashes(module)
    assert module.middle.weight.dtype == torch.float8_e4m3fn
    mover.to_host()
    homes = addresses(module)
    for _ in range(2):
        mover.to_device()
        assert torch.equal(module(torch.arange(9)), made)
        mover.to_host()
        assert addresses(module) == homes, "the weights did not travel back"
    assert hashes(module) == before


@pytest.mark.slow
def test_compiled_code_is_used_again_after_a_return(module: Any) -> None:
    import torch
    from torch._dynamo.utils import counters

    mover, tokens = second_copy(module), torch.arange(9)
    mover.to_device()
    module.compile(backend="aot_eager")
    made, graphs = module(tokens), counters["stats"]["unique_graphs"]
    assert graphs > 0
    for _ in range(2):
        mover.to_host()
        mover.to_device()
        assert torch.equal(module(tokens), made)
    assert counters["stats"]["unique_graphs"] == graphs


def test_empty_tensors_and_modules_without_weights_move() -> None:
    import torch

    module = torch.nn.Module()
    module.register_buffer("empty", torch.empty(0))
    mover = second_copy(module)
    mover.to_device()
    mover.to_host()
    assert tensors(module)["empty"].numel() == 0
    assert mover.private_bytes() == 0


def test_mapped_weights_stay_shared_where_the_kernel_does_not_say_which_pages_changed(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in sandboxes without ``/proc/self/pagemap``."""
    monkeypatch.setattr(mappings, "_PAGES", Path("/proc/self/there-is-no-such-file"))
    homes, before, mover = addresses(module), hashes(module), second_copy(module)
    mover.to_device(keep_private=False)
    assert hashes(module) == before
    mover.to_host()
    own = {name for name, address in addresses(module).items() if address != homes[name]}
    assert own == {"scale"}, "the only one that is in no file"


def test_without_memory_for_the_digests_nothing_moves(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    mover, homes = second_copy(module), addresses(module)

    def fails(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError

    with monkeypatch.context() as patch:
        patch.setattr(torch, "arange", fails)
        with pytest.raises(torch.OutOfMemoryError):
            mover.to_device()
    assert addresses(module) == homes
    mover.to_device()
    mover.to_host()
    assert addresses(module) == homes


def test_weights_that_get_another_name_on_the_device_keep_their_homes(module: Any) -> None:
    """Adding a LoRA puts each layer into another one."""
    import torch

    mover, homes = second_copy(module), addresses(module)
    mover.to_device()
    layer = torch.nn.Module()
    layer.base_layer, module.middle = module.middle, layer
    mover.to_host()
    now = {name.replace(".base_layer", ""): address for name, address in addresses(module).items()}
    assert now == homes
