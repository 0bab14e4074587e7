"""The keys that models behind a server share, and how one run makes its requests."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from protocol.messages import ModelSpec, Role
from workers.interface import ModelError
from workers.models.declaration import Key

OPENAI = "https://api.openai.com/v1"
SECTIONS: Mapping[Role, str] = {"editor": "diffusion_model", "reward": "reward_model"}
"""The section of the config of each role."""
MAX_CONCURRENCY = 512

BASE_URL = Key(
    "base_url",
    "text",
    OPENAI,
    "The address of the server's API, up to `/v1`.",
    "load",
    high=2000,
    pattern=r"https?://[^\s@?#]+",
    wanted="an address without a user, a password or a query, such as http://127.0.0.1:8000/v1",
)
API_KEY_ENV = Key(
    "api_key_env",
    "text",
    "OPENAI_API_KEY",
    "The name of the variable that holds the key (never the key itself), in the environment of the workers. A "
    "server on this machine (a loopback address) needs none.",
    "start",
    pattern="[A-Z_][A-Z0-9_]{0,99}",
    wanted="the name of a variable in capital letters, not a key",
)
NO_DEVICE = Key(
    "device",
    "fixed",
    "cpu",
    "Always `cpu`: the model is on a server.",
    "process",
    because="the model is on a server, and its worker needs no device",
)
RETRY_KEYS = (
    Key(
        "request_timeout_seconds",
        "float",
        300.0,
        "How long a request may take before it is made again.",
        "speed",
        low=1,
        high=86_400,
    ),
    Key(
        "max_retries",
        "int",
        8,
        "How often a request is made again after a failure that may pass: 429, 5xx, a timeout, a broken reply.",
        "speed",
        low=0,
        high=100,
    ),
)


class RequestSettings(Struct, frozen=True, kw_only=True):
    """How one run makes its requests: the keys of the same names. Other keys are ignored."""

    max_concurrency: Annotated[int, Meta(ge=1, le=MAX_CONCURRENCY)] = 32
    request_timeout_seconds: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    max_retries: Annotated[int, Meta(ge=0, le=100)] = 8


def variables(params: Mapping[str, Any]) -> tuple[str, ...]:
    """The variable of the key, which only a server elsewhere needs."""
    host = urlsplit(str(params["base_url"])).hostname or ""
    has_server = bool((params.get("server") or {}).get("command"))
    return () if has_server or is_loopback(host) else (str(params["api_key_env"]),)


def is_loopback(host: str) -> bool:
    """Whether this host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_key(spec: ModelSpec, *, needed: bool) -> str | None:
    """The key that the variable ``api_key_env`` of the process holds.

    Raises:
        ModelError: of kind ``config``: it is needed and not there, or is no key. The message does not have it.
    """
    variable = str(spec.params.get("api_key_env", API_KEY_ENV.default))
    key = os.environ.get(variable, "").strip()
    if not key:
        if needed:
            message = (
                f"the variable {variable} ({SECTIONS[spec.role]}.params.api_key_env) is not set in the environment of "
                "the workers. A warm pool has that of the shell that started it: set the variable, end the pool with "
                "`warmbench workers stop`, and run again"
            )
            raise ModelError("config", message)
        return None
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ModelError("config", f"the variable {variable} holds no key: it has characters that no key has")
    return key
