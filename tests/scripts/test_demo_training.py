"""The training of the demonstration: its data, its measure, one step of each model, and the folders that it writes."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scheduler.run.watched_folder import WatchedFolder
from scheduler.store.rows import Row
from scripts.demo_training import measure
from scripts.demo_training.__main__ import main
from scripts.demo_training.examples import Example, examples, resized
from scripts.demo_training.learning_rate import share
from scripts.demo_training.nearness import nearness
from tests.scheduler.rows import edited, planned, scored
from tests.scheduler.saved import saved_run


@pytest.fixture(scope="module")
def pairs() -> tuple[Example, ...]:
    return examples()


@pytest.mark.slow
def test_every_pair_has_a_target_of_the_edits_size(pairs: tuple[Example, ...]) -> None:
    assert len(pairs) == 15
    for pair in pairs:
        assert all(side % 64 == 0 for side in pair.target.size)
        assert all(edit <= source < edit + 64 for edit, source in zip(pair.target.size, pair.source.size, strict=True))


@pytest.mark.slow
def test_the_target_is_nearest_and_noise_is_far(pairs: tuple[Example, ...]) -> None:
    noise = np.random.default_rng(0)
    for pair in pairs:
        target, source = pair.target, resized(pair.source, pair.source.size)
        random_pixels = Image.fromarray(noise.integers(0, 256, (target.height, target.width, 3), dtype=np.uint8))
        assert nearness(target, source, target) == 10
        assert nearness(random_pixels, source, target) < 2
        assert nearness(source, source, target) < 8, "an edit that changes nothing is not near"
        half = Image.blend(source, target, 0.5)
        assert nearness(source, source, target) < nearness(half, source, target) < 10


@pytest.mark.slow
def test_spoiled_targets_are_the_same_each_time_and_have_their_nearness(pairs: tuple[Example, ...]) -> None:
    from scripts.demo_training.spoiled import spoiled_targets
    from scripts.demo_training.vae import new_vae

    first, again = (spoiled_targets(new_vae(), pairs[:2], 5) for _ in range(2))
    assert [picture.instruction for picture in first] == [pair.instruction for pair in pairs[:2] for _ in range(5)]
    for picture, same in zip(first, again, strict=True):
        assert picture.picture.tobytes() == same.picture.tobytes()
        pair = next(pair for pair in pairs if pair.instruction == picture.instruction)
        source, target = (image.reduce(2) for image in (resized(pair.source, pair.source.size), pair.target))
        assert picture.nearness == pytest.approx(nearness(picture.picture, source, target))


def test_the_learning_rate_rises_and_then_falls() -> None:
    for steps in (1, 2, 10, 1000):
        shares = [share(step, steps) for step in range(steps)]
        highest = shares.index(max(shares))
        assert all(0 < rate <= 1 for rate in shares)
        assert shares == sorted(shares[:highest]) + sorted(shares[highest:], reverse=True)


@pytest.mark.slow
def test_the_transformer_starts_by_returning_pure_noise() -> None:
    import torch

    from scripts.demo_training.pipeline import new_transformer

    transformer = new_transformer()
    chance = torch.Generator().manual_seed(0)
    noise, source = (torch.randn((1, 4, transformer.config.in_channels), generator=chance) for _ in range(2))
    prompt = torch.randn((1, 24, transformer.config.joint_attention_dim), generator=chance)
    with torch.no_grad():
        velocity = transformer(
            hidden_states=torch.cat([noise, source], dim=1),
            timestep=torch.ones(1),
            encoder_hidden_states=prompt,
            img_shapes=[[(1, 2, 2), (1, 2, 2)]],
            return_dict=False,
        )[0][:, :4]
    assert float(torch.corrcoef(torch.stack([velocity.flatten(), noise.flatten()]))[0, 1]) > 0.9


@pytest.mark.slow
def test_the_outer_levels_of_the_vae_only_resample(pairs: tuple[Example, ...]) -> None:
    import torch

    from scripts.demo_training import vae as tiny
    from scripts.demo_training.examples import as_tensor

    vae = tiny.new_vae()
    picture = as_tensor(pairs[0].target.resize((192, 128)))
    small = torch.nn.functional.avg_pool2d(picture[:, :, 0], tiny.REDUCED)[:, :, None]
    with torch.no_grad():
        latents = vae.encode(picture).latent_dist.mode()
        with tiny.single_frames(vae):
            reduced = tiny.encode_reduced(vae, small)
            shown = tiny.decode_reduced(vae, reduced)
        large = vae.decode(latents).sample
    torch.testing.assert_close(latents, reduced, rtol=1e-3, atol=1e-3)
    back = torch.nn.functional.avg_pool2d(large[:, :, 0], tiny.REDUCED)[:, :, None]
    inner = (slice(None), slice(None), slice(None), slice(2, -2), slice(2, -2))
    assert float((back - shown.clamp(-1, 1))[inner].abs().mean()) < 0.1 * float(shown.std())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints of a very short training on few pairs."""
    folder = tmp_path_factory.mktemp("training") / "out"
    _train(folder)
    return folder


def _train(folder: Path) -> None:
    few = [str(folder), "--pairs", "2"]  # of different shapes
    assert main(["vae", *few, "--steps", "4"]) == 0
    assert main(["judge", *few, "--steps", "2"]) == 0
    assert main(["editor", *few, "--steps", "2", "--every", "1"]) == 0


@pytest.mark.slow
def test_a_checkpoint_is_complete_and_without_its_index_it_is_not(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    shutil.copytree(trained / "checkpoints", folder)
    (folder / "checkpoint-2" / "model_index.json").unlink()
    watched = WatchedFolder(folder, "model_index.json", output_dir=tmp_path / "outputs")
    lacks = {sighting.step: sighting.lacks for sighting in watched.look({})}
    assert lacks.pop(1) == ()
    assert lacks[2][0].startswith("it lacks model_index.json")


@pytest.mark.slow
def test_the_same_training_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    _train(tmp_path / "out")
    assert _hashes(tmp_path / "out") == _hashes(trained)


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_the_editor_that_runs_use_loads_a_checkpoint_and_edits(trained: Path, pairs: tuple[Example, ...]) -> None:
    from protocol.messages import ModelSpec
    from workers.interface import EditRequest
    from workers.models.editors.diffusers_editor import DiffusersEditor

    folder = trained / "checkpoints" / "checkpoint-2"
    spec = ModelSpec(role="editor", type="diffusers", name=str(folder), params={"dtype": "float32"})
    editor = DiffusersEditor(spec, "cpu")
    editor.load("device")
    pair = pairs[0]
    parameters = {"output_size": "source", "true_cfg_scale": 1, "num_inference_steps": 2}
    edit = editor.edit(EditRequest(pair.source, pair.instruction, 3, "物理/001", parameters), lambda *_: None)
    assert edit.size == pair.target.size


@pytest.mark.slow
def test_the_transformers_loss_falls(pairs: tuple[Example, ...], tmp_path: Path) -> None:
    from scripts.demo_training.editor_training import prepare, training
    from scripts.demo_training.pipeline import new_pipeline, save_parts
    from scripts.demo_training.vae import new_vae
    from scripts.demo_training.vae_training import normalize_latents

    save_parts(tmp_path, [pair.instruction for pair in pairs])
    pipeline = new_pipeline(tmp_path, new_vae())
    normalize_latents(pipeline.vae, [pairs[0].target])
    lesson = prepare(pipeline, pairs[0])
    losses = list(training(pipeline.transformer, [lesson], 60))
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


@pytest.mark.slow
def test_the_table_says_how_near_the_edits_of_a_run_are(
    pairs: tuple[Example, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[Row] = []
    for pair, score in zip(pairs[:2], (3.0, 6.0), strict=True):
        rows += [planned(pair.pair_id), edited(pair.pair_id), scored(pair.pair_id, score)]
    run = saved_run(tmp_path, rows, manifest={"editor": {"model_name": "checkpoints/checkpoint-200"}})
    (run / "images").mkdir()
    for pair in pairs[:2]:
        grey = Image.new("RGB", pair.target.size, "grey")
        Image.blend(pair.target, grey, 0.1 if pair is pairs[1] else 0.5).save(run / f"images/{pair.pair_id}.png")
    assert measure.main([str(run), "--picture", str(tmp_path / "picture.png")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^\| checkpoint-200 \| \d\d\.\d dB \| \d\.\d \| 4\.5 \|$", out, re.MULTILINE)
    assert "Correlation of score and nearness over 2 edits: 1.00" in out
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.width == 3 * 128
