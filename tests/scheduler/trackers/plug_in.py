"""A tracker that a package brings: it writes a line into a file, or misbehaves as it is told."""

from __future__ import annotations

from pathlib import Path

from tests.plugin_packages import install

SOURCE = """
import os, signal, subprocess, sys, time
from scheduler.trackers.declaration import TrackerType
from workers.models.declaration import Key

def send(run, options):
    does = options["does"]
    with open(options["file"], "a") as file:
        print(run.title, run.step, run.prefix, run.numbers["score"], os.environ.get("JUDGE_KEY"), file=file)
    if does == "raise":
        raise ValueError("refused for tracker-secret at http://me:password@host/path")
    if does == "exit":
        sys.exit("gone")
    if does == "die":
        print("the last words for tracker-secret", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if does == "hang":
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        with open(options["file"] + ".pids", "w") as file:
            print(os.getpid(), child.pid, file=file)
        os.replace(options["file"] + ".pids", options["file"] + ".hangs")
        time.sleep(600)
    if does == "leave":
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        return str(child.pid)
    print("a library prints this")
    return "the file"

TRACKER = TrackerType(
    name="lines",
    meaning="A line in a file for each run.",
    send=send,
    keys=(Key("file", "path", "lines.txt", "The file."), Key("does", "text", "", "What it does.")),
)
"""


def install_lines_tracker(site: Path) -> Path:
    """Install the package that brings the tracker ``lines``; return the folder, for sys.path."""
    return install(site, "warmbench_lines", "warmbench.trackers", {"lines": "warmbench_lines:TRACKER"}, SOURCE)
