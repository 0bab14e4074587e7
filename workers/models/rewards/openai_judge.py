"""The reward behind a server: any with `/v1/chat/completions` (OpenAI, vLLM, SGLang, `transformers serve`, gateways).

Its worker needs no device. It answers a run's prompts and a protocol's questions, many at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from protocol.messages import Judgement, ModelSpec, Prompt, Residency
from workers.interface import ModelError, ScoreRequest, Scores, StreamingReward
from workers.models.declaration import ModelType
from workers.models.rewards.batching import RowFailure
from workers.models.rewards.conversations import Conversation, second_question
from workers.models.rewards.generation import ModelReply
from workers.models.rewards.judgements import by_numbers, by_replies, failed, read
from workers.models.rewards.openai_logprobs import expected_score
from workers.models.rewards.openai_requests import Body, Server, follow_up, prompt_bodies, question_body
from workers.models.rewards.openai_settings import KEYS, JudgeSettings, conflicts, read_judge_settings
from workers.models.rewards.replies import Unreadable
from workers.models.served.client import Meter, ServerClient
from workers.models.served.connection import completion
from workers.models.served.keys import variables
from workers.models.served.process import ServedProcess, served_process
from workers.models.served.replies import Answer, Failure

_PACKAGES = ("openai", "httpx2", "pillow")
_ENCODERS = 2

DECLARATION = ModelType(
    name="openai",
    role="reward",
    meaning="A model behind a server with `/v1/chat/completions`: OpenAI, vLLM, SGLang, a gateway.",
    target="workers.models.rewards.openai_judge:OpenAIJudge",
    keys=KEYS,
    rules=(conflicts,),
    needs="none",
    packages={"openai": "2", "PIL": "11", "numpy": ""},
    variables=variables,
    answers_questions=True,
    streams=True,
)


class OpenAIJudge(StreamingReward):
    """Asks a server. A judgement without a score has a kind of ``served.replies``, ``unreadable_reply`` or
    ``off_scale``.
    """

    takes_files = True

    def __init__(self, spec: ModelSpec, device: str) -> None:
        super().__init__(spec, device)
        self._client: ServerClient | None = None
        self._served: ServedProcess | None = None
        self._encoders: ThreadPoolExecutor | None = None
        self._server = Server(spec.name or "")

    def prepare(self) -> None:
        try:
            import openai  # noqa: F401 - it takes a second
        except ImportError as error:
            message = f"the package openai can't be imported ({error}): run `pip install 'warmbench[openai]'`"
            raise ModelError("config", message) from error

    def load(self, residency: Residency) -> None:  # noqa: ARG002 - the model is elsewhere
        """Connect to the server.

        Raises:
            ModelError: ``config``: there is no key; ``load``: nothing answers; ``unauthorized``: it refuses the key;
                ``server``: the worker's own server does not start.
        """
        self._served = served_process(self.spec, self.context)
        if self._served is not None:
            self._served.start()
        self._client = ServerClient(self.spec, self._served)
        max_tokens = "max_completion_tokens" if self._client.is_openai else "max_tokens"
        self._server = Server(self.spec.name or "", max_tokens)
        self._encoders = ThreadPoolExecutor(_ENCODERS, thread_name_prefix="judge images")
        self._client.submit(self._client.check(), lambda: None).result()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._served is not None:
            self._served.close()
        if self._encoders is not None:
            self._encoders.shutdown(wait=False, cancel_futures=True)

    def load_bytes(self, residency: Residency) -> int:  # noqa: ARG002 - the model is elsewhere
        return 0

    def versions(self) -> Mapping[str, str]:
        from importlib.metadata import version

        return {package: version(package) for package in _PACKAGES}

    @property
    def slots(self) -> int:
        return self._client.slots if self._client is not None else 1

    def stream(
        self, requests: Sequence[ScoreRequest], parameters: Mapping[str, Any], progress: Callable[[], None]
    ) -> Future[Scores]:
        """Judge all requests; see ``JudgeSettings`` for the parameters.

        Raises:
            ModelError: of kind ``config``: a parameter is wrong; there is no such judge.
        """
        if self._client is None:
            raise ModelError("not_ready", "the judge is not connected")
        settings = read_judge_settings(parameters)
        return self._client.submit(self._judge_all(self._client, list(requests), settings), progress)

    # -- in the client's thread

    async def _judge_all(self, client: ServerClient, requests: list[ScoreRequest], settings: JudgeSettings) -> Scores:
        loop = asyncio.get_running_loop()
        making = loop.run_in_executor(self._encoders, self._asked, tuple(requests), settings)
        requests.clear()  # images take memory
        asked = await making
        del making
        tasks = [loop.create_task(_judge(client, one, settings)) for one in asked]
        try:
            return Scores(await asyncio.gather(*tasks), (len(tasks),))
        except BaseException:  # nothing more is spent on a job that has failed
            for task in tasks:
                task.cancel()
            raise

    def _asked(self, requests: Sequence[ScoreRequest], settings: JudgeSettings) -> list[_Asked]:
        """What to ask for each request. In an encoder's thread: encoding images takes time."""
        prompts = iter(prompt_bodies([one for one in requests if one.question is None], self._server, settings))
        asked = []
        for request in requests:
            if request.question is None:
                asked.append(_Asked(request.prompt, *next(prompts)))
            else:
                body = question_body(request.question, request.shown, self._server, settings)
                asked.append(_Asked(request.prompt, body, None))
        return asked


@dataclass(frozen=True)
class _Asked:
    """A request to the judge; ``conversation`` is None if it is a protocol's question."""

    prompt: Prompt
    body: Body
    conversation: Conversation | None


async def _judge(client: ServerClient, asked: _Asked, settings: JudgeSettings) -> Judgement:
    meter = Meter()
    result = await client.ask(completion(asked.body), settings, meter)
    if isinstance(result, Failure):
        judgement = Judgement(aspect=asked.prompt.aspect, kind=result.kind, message=result.message)
    elif asked.conversation is None:
        judgement = _answer_to_question(asked.prompt, result)
    elif settings.scoring == "logits":
        judgement = _score_by_logits(asked.prompt, result, settings)
    else:
        judgement = await _score_by_replies(client, asked, asked.conversation, result, settings, meter)
    return structs.replace(judgement, usage=meter.usage)


def _answer_to_question(prompt: Prompt, answer: Answer) -> Judgement:
    """The answer as it is: the run reads it, as the authors of a benchmark do, even if it was cut off."""
    cut_off = "the answer was cut off: raise reward_model.params.max_new_tokens" if answer.cut_off else None
    return Judgement(aspect=prompt.aspect, response=answer.text, message=cut_off)


def _score_by_logits(prompt: Prompt, answer: Answer, settings: JudgeSettings) -> Judgement:
    low, high = (int(end) for end in settings.score_range)
    scored = expected_score(answer.tokens, low, high)
    if isinstance(scored, RowFailure):
        return failed(prompt, scored)
    score, likeliest = scored
    return by_numbers(prompt, score, lambda _: likeliest)


async def _score_by_replies(
    client: ServerClient,
    asked: _Asked,
    conversation: Conversation,
    answer: Answer,
    settings: JudgeSettings,
    meter: Meter,
) -> Judgement:
    """The score of the reply; if it has none that can be read, of the reply to a second question."""
    scale, cut_off = settings.scale, answer.cut_off
    first = ModelReply(answer.text, answer.cut_off)
    second: ModelReply | RowFailure | None = None
    reading = read(first, scale)
    if isinstance(reading, Unreadable) and not reading.final:
        body = follow_up(asked.body, second_question(conversation, answer.text, scale))
        again = await client.ask(completion(body), settings, meter)
        if isinstance(again, Failure):
            second = RowFailure(again.kind, again.message)
        else:
            second, cut_off = ModelReply(again.text, again.cut_off), again.cut_off
    judgement = by_replies(asked.prompt, first, second, scale)
    if judgement.kind == "unreadable_reply" and cut_off:
        message = f"{judgement.message}; it was cut off: raise reward_model.params.max_new_tokens"
        return structs.replace(judgement, kind="truncated", message=message)
    return judgement
