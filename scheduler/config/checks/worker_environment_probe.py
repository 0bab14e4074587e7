"""A program, run by the Python of a worker's environment, that prints what is there as one line of JSON.

It needs only the standard library, and runs with any Python 3, also with one that is too old for us. Its
arguments are packages and entry points (``GROUP:NAME``), which are looked for and not imported: torch takes seconds.
"""

import importlib
import importlib.util
import json
import os
import sys

MARK = "warmbench-environment: "
"""The beginning of the line: conda and start-up files may print as well."""

IMPORTED = (
    *("msgpack", "msgspec", "zmq", "psutil", "setproctitle", "PIL", "numpy"),
    *("protocol", "workers.__main__", "workers.worker"),
)


def main() -> None:
    """Print the line."""
    # The folder of a script comes first on the path, the current one with ``-m``, which is how workers are started.
    sys.path[0] = os.getcwd()  # noqa: PTH109 - as plain as can be
    report = {
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "executable": sys.executable,
        "imports": {name: _imported(name) for name in IMPORTED},
        "packages": {name: _package(name) for name in sys.argv[1:] if ":" not in name},
        "torch_build": _torch_build(),
        "plugins": {name: _has_plugin(*name.split(":")) for name in sys.argv[1:] if ":" in name},
        "protocol_version": getattr(sys.modules.get("protocol"), "PROTOCOL_VERSION", None),
        "protocol_file": getattr(sys.modules.get("protocol"), "__file__", None),
    }
    print(MARK + json.dumps(report))


def _imported(name: str) -> "dict[str, object]":
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - a broken package raises what it likes
        missing = isinstance(error, ModuleNotFoundError) and error.name in (name, name.partition(".")[0])
        return {"state": "missing" if missing else "broken", "error": "%s: %s" % (type(error).__name__, error)}  # noqa: UP031
    return {"state": "there"}


def _package(name: str) -> "dict[str, object]":
    if importlib.util.find_spec(name) is None:
        return {"state": "missing"}
    try:
        from importlib import metadata

        return {"state": "there", "version": metadata.version(name)}
    except Exception:  # noqa: BLE001 - a copy without metadata, or a Python that can't read any
        return {"state": "there", "version": None}


def _torch_build() -> "str | None":
    """What torch's build writes about itself, as it is; torch is not imported."""
    spec = importlib.util.find_spec("torch")
    file = os.path.join(os.path.dirname(spec.origin), "version.py") if spec and spec.origin else ""  # noqa: PTH118, PTH120
    if not os.path.isfile(file):  # noqa: PTH113
        return None
    with open(file, encoding="utf-8") as source:  # noqa: PTH123
        return source.read(10000)


def _has_plugin(group: str, name: str) -> bool:
    from importlib import metadata

    return bool(metadata.entry_points(group=group, name=name)) if sys.version_info >= (3, 10) else False


if __name__ == "__main__":
    main()
