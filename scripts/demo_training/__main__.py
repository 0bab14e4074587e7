"""``python -m scripts.demo_training vae|judge|editor FOLDER``: trains one of the models of the demonstration.

``FOLDER/vae`` gets the editor's VAE, which the two others need, ``FOLDER/judge`` the judge, and
``FOLDER/checkpoints/checkpoint-N`` the editor after N steps. The same machine and libraries give the same bytes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from scheduler.commands.arguments import positive
from scripts.demo_training.examples import Example, examples

# The order of sums, and so the weights' bytes, depend on the number of threads. The layers are too small for more.
_THREADS = 1
_SPOILED = 100
"""Pictures of each target, of which the judge learns."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo_training", description=__doc__)
    models = parser.add_subparsers(dest="model", required=True)
    for name, (steps, meaning, _) in _MODELS.items():
        command = models.add_parser(name, help=meaning)
        command.add_argument("folder", type=Path)
        command.add_argument("--steps", type=int, default=steps, help=f"(default: {steps})")
        command.add_argument("--pairs", type=positive, help="learn only the first N pairs (default: all)", metavar="N")
    command.add_argument("--every", type=int, default=200, help="steps from one checkpoint to the next (default: 200)")
    options = parser.parse_args(arguments)
    import torch

    from workers.models.editors.pipeline_loading import keep_quiet

    keep_quiet()
    torch.set_num_threads(_THREADS)
    _MODELS[options.model][2](options, examples(options.pairs))
    return 0


def _train_vae(options: argparse.Namespace, pairs: Sequence[Example]) -> None:
    from scripts.demo_training.vae import new_vae
    from scripts.demo_training.vae_training import normalize_latents, training

    vae, targets = new_vae(), [pair.target for pair in pairs]
    for _ in _reported(training(vae, targets, options.steps), "VAE", 200):
        pass
    normalize_latents(vae, targets)
    vae.save_pretrained(_emptied(options.folder / "vae"))


def _train_judge(options: argparse.Namespace, pairs: Sequence[Example]) -> None:
    from scripts.demo_training.judge_training import training
    from scripts.demo_training.spoiled import spoiled_targets

    pictures = spoiled_targets(_trained_vae(options.folder), pairs, _SPOILED)
    for _ in _reported(training(_emptied(options.folder / "judge"), pictures, options.steps), "judge", 100):
        pass


def _train_editor(options: argparse.Namespace, pairs: Sequence[Example]) -> None:
    from scripts.demo_training.editor_training import prepare, training
    from scripts.demo_training.pipeline import new_pipeline, save_checkpoint, save_parts

    checkpoints = _emptied(options.folder / "checkpoints")
    with tempfile.TemporaryDirectory() as temporary:
        parts = Path(temporary)
        save_parts(parts, [pair.instruction for pair in pairs])
        pipeline = new_pipeline(parts, _trained_vae(options.folder))
        lessons = [prepare(pipeline, pair) for pair in pairs]
        losses = training(pipeline.transformer, lessons, options.steps)
        for step in _reported(losses, "editor", options.every):
            if step % options.every == 0:
                save_checkpoint(pipeline, parts, checkpoints / f"checkpoint-{step}")


_MODELS: dict[str, tuple[int, str, Callable[[argparse.Namespace, Sequence[Example]], None]]] = {
    "vae": (800, "train the editor's VAE", _train_vae),
    "judge": (600, "train the judge, with the help of the VAE", _train_judge),
    "editor": (1200, "train the editor's transformer", _train_editor),
}
"""Each model's steps, what its command does, and its training."""


def _trained_vae(folder: Path) -> Any:
    from diffusers import AutoencoderKLQwenImage

    vae = AutoencoderKLQwenImage.from_pretrained(folder / "vae").eval()
    vae.register_to_config(_name_or_path="")  # checkpoints do not name this machine's folders
    return vae


def _emptied(folder: Path) -> Path:
    """The folder, without what an earlier training left in it. It stays where it is: it may be watched."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return folder


def _reported(losses: Iterator[float], name: str, every: int) -> Iterator[int]:
    """The number of each step done, from 1; the mean loss is printed each ``every`` steps."""
    started = time.perf_counter()
    recent: list[float] = []
    for step, loss in enumerate(losses, 1):
        recent.append(loss)
        if step % every == 0:
            seconds = time.perf_counter() - started
            sys.stdout.write(f"{name}: step {step}, loss {sum(recent) / len(recent):.4f}, {seconds:.0f} s\n")
            sys.stdout.flush()
            recent.clear()
        yield step


if __name__ == "__main__":
    sys.exit(main())
