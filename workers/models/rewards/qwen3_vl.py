"""The reward Qwen3-VL (dense or mixture of experts, as its own config says), which judges edits in batches.

``scoring: generate`` reads the score from a reply in words; after a reply that can't be read, the model is asked a
second question. ``scoring: logits`` takes the expected score from one forward pass. The reply to a protocol's question
is given back as it is, for the protocol to read. Nothing is ever sampled.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from protocol.messages import ModelSpec, Residency
from workers.interface import FetchProgress, ModelError, Progress, Reward, ScoreRequest, Scores
from workers.models.converted import bytes_to_convert, converted_folder
from workers.models.declaration import Alias, Conflict, ModelType, with_keys
from workers.models.fitting_keys import fitting_conflicts, spreading_conflicts
from workers.models.hub import resolve_model, weight_files
from workers.models.keys import REWARD_KEYS, judging_conflicts, model_name
from workers.models.processors import load_processor
from workers.models.quantization import held_bytes, quantizing_packages
from workers.models.rewards.batching import BatchSizes
from workers.models.rewards.conversations import NO_QUESTION, Conversation, first_question, second_question
from workers.models.rewards.generation import ModelReply, Steps, generate_replies
from workers.models.rewards.inputs import (
    Patches,
    PreparedRequest,
    TokenRow,
    to_inputs,
    to_patches,
    to_prompt,
    to_tokens,
)
from workers.models.rewards.judgements import answer, by_numbers, by_replies, read
from workers.models.rewards.logits import NumberScore, expected_scores, number_logits, scale_tokens
from workers.models.rewards.parameters import RewardSettings, read_settings
from workers.models.rewards.replies import Unreadable
from workers.models.rewards.weights import host_copies, load_model, prepare_imports
from workers.models.safetensors_files import goes_straight
from workers.models.thoughts import LOGITS_NEED_AN_ANSWER, USE_GENERATE, opens_thought

_PACKAGES = ("torch", "transformers", "tokenizers", "pillow", "numpy", "torchvision", "flash_attn")
_SIZES = ("2B", "4B", "8B", "32B", "30B-A3B", "235B-A22B")
_WITHOUT_ACTIVE_SIZE = {"30B": "30B-A3B", "235B": "235B-A22B"}


def _environment_is_given(values: Mapping[str, Any]) -> Iterator[Conflict]:
    if values["conda_env"] is None and values["python"] is None:
        message = "is missing: the reward runs in an environment of its own"
        yield Conflict((("conda_env",), ("python",)), message, "give `conda_env: NAME` or `python: PATH`")


DECLARATION = ModelType(
    name="qwen3_vl",
    role="reward",
    meaning="Qwen3-VL.",
    target="workers.models.rewards.qwen3_vl:Qwen3VLReward",
    keys=with_keys(
        REWARD_KEYS,
        model_name("Qwen/Qwen3-VL-30B-A3B-Instruct", "A folder that holds a Qwen VL model, or a name on the hub."),
    ),
    rules=(judging_conflicts, fitting_conflicts, spreading_conflicts),
    needs="gpu",
    old_names=(
        Alias(("qwen3_vl_subprocess",), "Qwen3-VL, in an environment of its own.", rules=(_environment_is_given,)),
    ),
    old_classes={"Qwen3VLRewardModel": "qwen3_vl", "Qwen3VLSubprocessRewardModel": "qwen3_vl_subprocess"},
    entry_file="config.json",
    known_models=tuple(f"Qwen/Qwen3-VL-{size}-Instruct" for size in _SIZES),
    corrections={
        f"Qwen/Qwen3-VL-{size}-{kind}": f"Qwen/Qwen3-VL-{right}-{kind}"
        for size, right in _WITHOUT_ACTIVE_SIZE.items()
        for kind in ("Instruct", "Thinking")
    },
    packages={"torch": "2.6", "transformers": "4.57", "accelerate": ""},
    host_copies=host_copies,
    answers_questions=True,
)


class Qwen3VLReward(Reward):
    """Judges edits with ``AutoModelForImageTextToText``, from a local folder or the hub."""

    SECOND_COPY = False
    """Whether weights move to a second copy in CPU memory if the device is the CPU."""

    def __init__(self, spec: ModelSpec, device: str) -> None:
        super().__init__(spec, device)
        self._model: Any = None
        self._mover: Any = None
        self._files: Sequence[str] = ()
        self._name = ""
        self._thinks = False
        self._sizes = BatchSizes()
        self._processors: dict[tuple[int | None, int | None], Any] = {}
        self._processing = threading.Lock()

    def prepare(self) -> None:
        prepare_imports()

    def fetch(self, progress: FetchProgress) -> None:
        if self.spec.name:
            converted_folder(resolve_model(self.spec.name, progress), partial(progress, "converting"))

    def load(self, residency: Residency) -> None:
        """Load weights and processor.

        Raises:
            ModelError: ``model_not_found``, ``config`` (a load parameter), ``oom``, or ``load`` (the files are damaged,
                or of another kind of model).
        """
        if not self.spec.name:
            raise ModelError("config", "reward_model.params.model_name is missing")
        folder = resolve_model(self.spec.name)
        self._files, self._name = weight_files(folder), str(folder)
        source = str(converted_folder(folder))
        self._model, self._mover = load_model(
            source, self.spec.params, self.devices, residency, second_copy=self.SECOND_COPY
        )
        self._thinks = opens_thought(to_prompt(self._processor(), NO_QUESTION))

    def place(self, residency: Residency) -> None:
        """Move the weights to ``device`` or ``host``, and free the memory that they leave."""
        self._sizes.forget()
        if residency == "device":
            self._mover.to_device()
        else:
            self._mover.to_host()

    def weight_files(self) -> Sequence[str]:
        if not self._files and self.spec.name:
            return weight_files(resolve_model(self.spec.name))
        return self._files

    def mapped_files(self) -> Sequence[str]:
        """The weights of a converted copy are those of the original, and lie elsewhere."""
        copy = converted_folder(Path(self._name))
        return self.weight_files() if copy == Path(self._name) else weight_files(copy)

    def size_bytes(self) -> int:
        """The size of the weights, as loaded; before that, of their files."""
        if self._model is None:
            return sum(Path(file).stat().st_size for file in self.weight_files() if file.endswith(".safetensors"))
        return sum(map(held_bytes, [*self._model.parameters(), *self._model.buffers()]))

    def host_bytes(self) -> int:
        """What is not mapped from files, which all workers share."""
        return 0 if self._mover is None else int(self._mover.private_bytes())

    def load_bytes(self, residency: Residency) -> int:
        straight = goes_straight(self.spec.params, residency, self.devices)
        if not self.spec.name:
            return 0
        folder = resolve_model(self.spec.name)
        converted = bytes_to_convert(folder) if converted_folder(folder) == folder else 0
        return converted + host_copies(self.weight_files(), self.spec.params, straight=straight)

    def versions(self) -> Mapping[str, str]:
        from importlib.metadata import PackageNotFoundError, version

        versions = {}
        for package in (*_PACKAGES, *quantizing_packages(self.spec.params)):
            try:
                versions[package] = version(package)
            except PackageNotFoundError:  # the last ones are optional
                continue
        return versions

    def prepare_batch(
        self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any]
    ) -> Sequence[PreparedRequest]:
        """Resize images, fill in the chat template and tokenize. A request for which this fails stays as it is.

        Raises:
            ModelError: of kind ``config``: a parameter is wrong.
        """
        settings = read_settings(parameters)
        # The prompts and the questions about one edit share its images.
        shared: dict[Any, Patches] = {}
        prepared = []
        for request in requests:
            images = _images_key(request)
            try:
                row = self._row(first_question(request, settings), settings, shared.get(images))
                shared[images] = row.patches
            except Exception:  # noqa: BLE001 - it fails again, and is reported, when the request is scored
                row = None
            prepared.append(PreparedRequest(**vars(request), row=row))
        return prepared

    def score(self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Progress) -> Scores:
        """Judge all requests; see ``RewardSettings`` for the parameters.

        A missing score is a judgement of kind ``unreadable_reply``, ``off_scale``, ``oom`` or ``error``; a missing
        answer to a question may also be of the kind of an image that cannot be decoded.

        Raises:
            ModelError: of kind ``config``: a parameter is wrong, or not possible with this model.
        """
        settings = read_settings(parameters)
        if self._thinks and settings.scoring == "logits":
            raise ModelError("config", f"reward_model.params.scoring: {LOGITS_NEED_AN_ANSWER}; {USE_GENERATE}")
        if settings.scoring == "logits" and any(request.question is not None for request in requests):
            raise ModelError("config", "reward_model.params.scoring: logits answers no questions; write generate")
        prepared = [request for request in requests if isinstance(request, PreparedRequest)]
        if len(prepared) < len(requests):
            prepared = list(self.prepare_batch(requests, parameters))
        if settings.scoring == "logits":
            return self._score_by_logits(prepared, settings, progress)
        return self._score_by_replies(prepared, settings, progress)

    # -- the two ways to score

    def _score_by_logits(
        self, requests: Sequence[PreparedRequest], settings: RewardSettings, progress: Progress
    ) -> Scores:
        processor = self._processor(settings)
        with self._processing:
            scale = scale_tokens(processor.tokenizer, settings.low, settings.high)
        steps = Steps(progress, -(-len(requests) // self._sizes.first(settings)))

        def run(batch: Sequence[PreparedRequest]) -> Sequence[NumberScore]:
            inputs = self._inputs([self._first_row(request, settings) for request in batch], settings)
            scores = expected_scores(self._forward(number_logits, inputs, scale), scale)
            steps.took(1)
            return scores

        def text_of(token: int) -> str:
            with self._processing:
                return str(processor.tokenizer.decode([token]))

        batched = self._sizes.run(requests, settings, run, lambda request: request.length)
        pairs = zip(requests, batched.results, strict=True)
        return Scores([by_numbers(request.prompt, result, text_of) for request, result in pairs], batched.sizes)

    def _score_by_replies(
        self, requests: Sequence[PreparedRequest], settings: RewardSettings, progress: Progress
    ) -> Scores:
        steps = Steps(progress, -(-len(requests) // self._sizes.first(settings)) * settings.max_new_tokens)
        tokenizer = self._processor(settings).tokenizer

        def ask(rows: Sequence[TokenRow]) -> Sequence[ModelReply]:
            inputs = self._inputs(rows, settings)
            replies: Sequence[ModelReply] = self._forward(
                generate_replies, inputs, tokenizer, settings.max_new_tokens, steps, self._thinks
            )
            return replies

        def ask_first(batch: Sequence[PreparedRequest]) -> Sequence[ModelReply]:
            return ask([self._first_row(request, settings) for request in batch])

        def ask_again(batch: Sequence[tuple[int, str]]) -> Sequence[ModelReply]:
            return ask([self._second_row(requests[index], reply, settings) for index, reply in batch])

        first = self._sizes.run(requests, settings, ask_first, lambda request: request.length)
        unread = [
            (index, reply.text)
            for index, reply in enumerate(first.results)
            if isinstance(reply, ModelReply) and _asks_again(requests[index], reply, settings)
        ]
        steps.more(-(-len(unread) // self._sizes.first(settings)) * settings.max_new_tokens)
        again = self._sizes.run(
            unread, settings, ask_again, lambda question: requests[question[0]].length + len(question[1])
        )
        second = {index: reply for (index, _), reply in zip(unread, again.results, strict=True)}
        judgements = [
            answer(request.prompt, reply)
            if request.question is not None
            else by_replies(request.prompt, reply, second.get(index), settings)
            for index, (request, reply) in enumerate(zip(requests, first.results, strict=True))
        ]
        return Scores(judgements, [*first.sizes, *again.sizes])

    # -- the model

    def _forward(self, function: Any, inputs: Mapping[str, Any], *arguments: Any) -> Any:
        """Every use of the model: ``function(model, inputs, *arguments)`` without gradients."""
        import torch

        with torch.inference_mode():
            return function(self._model, inputs, *arguments)

    def _inputs(self, rows: Sequence[TokenRow], settings: RewardSettings) -> Mapping[str, Any]:
        """The tensors of a batch, on the model's device."""
        # From transformers 5 on the model takes a tensor that marks the tokens of images.
        with_types = "mm_token_type_ids" in inspect.signature(self._model.forward).parameters
        return to_inputs(self._processor(settings), rows, self._model.device, with_types=with_types)

    def _first_row(self, request: PreparedRequest, settings: RewardSettings) -> TokenRow:
        return request.row or self._row(first_question(request, settings), settings)

    def _second_row(self, request: PreparedRequest, reply: str, settings: RewardSettings) -> TokenRow:
        question = second_question(first_question(request, settings), reply, settings)
        return self._row(question, settings, request.row.patches if request.row else None)

    def _row(self, conversation: Conversation, settings: RewardSettings, patches: Patches | None = None) -> TokenRow:
        """The row of a conversation; ``patches`` of its images, if there are some already. Called from any thread."""
        processor = self._processor(settings)
        # Two threads can't use a tokenizer at once: each call sets its padding ("Already borrowed").
        with self._processing:
            patches = patches or to_patches(processor, conversation.images)
            return TokenRow(to_tokens(processor, conversation, patches), patches)

    def _processor(self, settings: RewardSettings | None = None) -> Any:
        """The processor for the image sizes of these settings; they may differ from run to run."""
        low, high = (settings.min_pixels, settings.max_pixels) if settings else (None, None)
        with self._processing:
            if (low, high) not in self._processors:
                try:
                    self._processors[low, high] = load_processor(self._name, min_pixels=low, max_pixels=high)
                except (OSError, ValueError) as error:
                    raise ModelError("load", f"reward model {self._name}: no processor: {error}") from error
            return self._processors[low, high]


def _images_key(request: ScoreRequest) -> Any:
    """Requests with equal keys show the same images in the same order."""
    if request.question is not None:
        return tuple(image.data for image in request.shown)
    return id(request.image), id(request.source)


def _asks_again(request: ScoreRequest, reply: ModelReply, settings: RewardSettings) -> bool:
    if request.question is not None:
        return False
    reading = read(reply, settings)
    return isinstance(reading, Unreadable) and not reading.final
