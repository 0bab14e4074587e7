"""The reward: a Qwen3-VL model (dense or mixture of experts, as its own config says) that judges edits in batches.

``scoring: generate`` lets it answer in words and reads the score from them; a reply that can't be read is answered with
one more question. ``scoring: logits`` takes the expected score from one forward pass. Nothing is ever sampled.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from protocol.messages import ModelSpec, Residency
from workers.hub import resolve_model, weight_files
from workers.interface import ModelError, Progress, Reward, ScoreRequest, Scores
from workers.processors import load_processor
from workers.rewards.batches import run_in_batches
from workers.rewards.conversations import Conversation, first_question, refuse_special_tokens, second_question
from workers.rewards.generation import Reply, Steps, generate_replies
from workers.rewards.judgements import by_numbers, by_replies, read
from workers.rewards.loading import load_model, prepare_imports
from workers.rewards.logits import NumberScore, expected_scores, number_logits, scale_tokens
from workers.rewards.replies import Unreadable
from workers.rewards.settings import RewardSettings, read_settings

_PACKAGES = ("torch", "transformers", "tokenizers", "pillow", "numpy", "torchvision", "flash_attn")


class Qwen3VLReward(Reward):
    """Judges edits with ``AutoModelForImageTextToText``, from a local folder or the hub."""

    def __init__(self, spec: ModelSpec, device: str) -> None:
        super().__init__(spec, device)
        self._model: Any = None
        self._files: Sequence[str] = ()
        self._name = ""
        self._processors: dict[tuple[int | None, int | None], Any] = {}

    def prepare(self) -> None:
        prepare_imports()

    def load(self, residency: Residency) -> None:
        """Read weights and processor. ``device`` reads each tensor straight to the device, without a copy on the host.

        Raises:
            ModelError: ``model_not_found``, ``config`` (a load parameter), ``oom``, or ``load`` (the files are damaged,
                or of another kind of model).
        """
        if not self.spec.name:
            raise ModelError("config", "reward_model.params.model_name is missing")
        folder = resolve_model(self.spec.name)
        self._files, self._name = weight_files(folder), str(folder)
        self._model = load_model(self._name, self.spec.params, self.device, residency)
        self._processor(None, None)

    def place(self, residency: Residency) -> None:
        """Move the weights to ``device`` or ``host``; what they leave is free afterwards."""
        import torch

        self._model.to(self.device if residency == "device" else "cpu")
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def weight_files(self) -> Sequence[str]:
        if not self._files and self.spec.name:
            return weight_files(resolve_model(self.spec.name))
        return self._files

    def size_bytes(self) -> int:
        """The size of the weights, as loaded; before that, of their files."""
        if self._model is None:
            return sum(Path(file).stat().st_size for file in self.weight_files() if file.endswith(".safetensors"))
        tensors = [*self._model.parameters(), *self._model.buffers()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def versions(self) -> Mapping[str, str]:
        from importlib.metadata import PackageNotFoundError, version

        found = {}
        for package in _PACKAGES:
            try:
                found[package] = version(package)
            except PackageNotFoundError:  # the last two are optional
                continue
        return found

    def score(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Progress) -> Scores:
        """Judge all requests; see ``RewardSettings`` for the parameters.

        What can't be had is a judgement of kind ``unreadable_reply``, ``oom`` or ``error``.

        Raises:
            ModelError: of kind ``config``: a parameter is wrong, or not possible with this model.
        """
        settings = read_settings(parameters)
        if settings.scoring == "logits":
            return self._score_by_logits(requests, settings, progress)
        return self._score_by_replies(requests, settings, progress)

    # -- the two ways to score

    def _score_by_logits(
        self, requests: Sequence[ScoreRequest], settings: RewardSettings, progress: Progress
    ) -> Scores:
        scale = scale_tokens(self._processor(None, None).tokenizer, settings.low, settings.high)
        steps = Steps(progress, -(-len(requests) // settings.batch_size))

        def run(batch: Sequence[ScoreRequest]) -> Sequence[NumberScore]:
            inputs = self._inputs([first_question(request, settings) for request in batch], settings)
            scores = expected_scores(self._forward(number_logits, inputs, scale), scale)
            steps.took(1)
            return scores

        batched = run_in_batches(requests, settings.batch_size, run)
        pairs = zip(requests, batched.results, strict=True)
        return Scores([by_numbers(request.prompt, result) for request, result in pairs], batched.sizes)

    def _score_by_replies(
        self, requests: Sequence[ScoreRequest], settings: RewardSettings, progress: Progress
    ) -> Scores:
        steps = Steps(progress, -(-len(requests) // settings.batch_size) * settings.max_new_tokens)

        tokenizer = self._processor(None, None).tokenizer

        def ask(conversations: Sequence[Conversation]) -> Sequence[Reply]:
            inputs = self._inputs(conversations, settings)
            replies: Sequence[Reply] = self._forward(
                generate_replies, inputs, tokenizer, settings.max_new_tokens, steps
            )
            return replies

        def ask_first(batch: Sequence[ScoreRequest]) -> Sequence[Reply]:
            return ask([first_question(request, settings) for request in batch])

        def ask_again(batch: Sequence[tuple[int, str]]) -> Sequence[Reply]:
            questions = [(first_question(requests[index], settings), reply) for index, reply in batch]
            return ask([second_question(question, reply, settings) for question, reply in questions])

        first = run_in_batches(requests, settings.batch_size, ask_first)
        unread = [
            (index, reply.text)
            for index, reply in enumerate(first.results)
            if isinstance(reply, Reply) and isinstance(read(reply, settings), Unreadable)
        ]
        steps.more(-(-len(unread) // settings.batch_size) * settings.max_new_tokens)
        again = run_in_batches(unread, settings.batch_size, ask_again)
        second = {index: reply for (index, _), reply in zip(unread, again.results, strict=True)}
        judgements = [
            by_replies(request.prompt, reply, second.get(index), settings)
            for index, (request, reply) in enumerate(zip(requests, first.results, strict=True))
        ]
        return Scores(judgements, [*first.sizes, *again.sizes])

    # -- the model

    def _forward(self, function: Any, inputs: Mapping[str, Any], *arguments: Any) -> Any:
        """Every pass through the model goes through here: ``function(model, inputs, *arguments)`` without gradients."""
        import torch

        with torch.inference_mode():
            return function(self._model, inputs, *arguments)

    def _inputs(self, conversations: Sequence[Conversation], settings: RewardSettings) -> Mapping[str, Any]:
        """The tensors of a batch, left-padded, on the model's device."""
        processor = self._processor(settings.min_pixels, settings.max_pixels)
        for conversation in conversations:
            refuse_special_tokens(conversation, processor.tokenizer.all_special_tokens)
        texts = [
            processor.apply_chat_template(list(conversation.turns), tokenize=False, add_generation_prompt=True)
            for conversation in conversations
        ]
        images = [image for conversation in conversations for image in conversation.images]
        inputs = processor(text=texts, images=images, padding=True, return_tensors="pt")
        moved: Mapping[str, Any] = inputs.to(self._model.device)
        return moved

    def _processor(self, min_pixels: int | None, max_pixels: int | None) -> Any:
        """The processor that shows the model images of that size; each run may want another."""
        key = (min_pixels, max_pixels)
        if key not in self._processors:
            try:
                processor = load_processor(self._name, min_pixels=min_pixels, max_pixels=max_pixels)
            except (OSError, ValueError) as error:
                raise ModelError("load", f"reward model {self._name}: no processor: {error}") from error
            processor.tokenizer.padding_side = "left"
            self._processors[key] = processor
        return self._processors[key]
