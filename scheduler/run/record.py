"""A run's ``config.yaml``, as it was resolved, and its ``manifest.json``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from scheduler.base.files import read_json
from scheduler.base.stages import ROLES
from scheduler.pool.tenancy import Tenancy
from scheduler.run.prepare import Prepared
from scheduler.run.reuse import OtherRun
from scheduler.store.manifest import add_workers, build_manifest
from scheduler.store.manifest_differences import manifest_differences
from scheduler.store.run_directory import RunDirectory

log = logging.getLogger("warmbench")

_NAME = "manifest.json"


class Record:
    """The record of one part of a run; it keeps those of earlier parts under ``earlier_parts``. ``name`` is the title
    that the run is given; a part without one keeps the run's.
    """

    def __init__(
        self,
        prepared: Prepared,
        directory: RunDirectory,
        *,
        resumed: bool,
        name: str | None,
        reuse: Sequence[OtherRun] = (),
    ) -> None:
        """``reuse``: runs whose results this part may take over."""
        self._config = prepared.config
        self._directory = directory
        self._earlier = read_json(directory.path / _NAME) if resumed else {}
        self._roles = {ROLES[stage] for stage in prepared.stages}
        self.manifest: dict[str, Any] = build_manifest(
            prepared.config,
            prepared.benchmark,
            prepared.layout,
            directory.stamp,
            stages=prepared.stages,
            edits=prepared.edits,
            protocol=prepared.protocol,
        )
        self.manifest["name"] = name or self._earlier.get("name")
        others = {run.run: {"directory": str(run.path.absolute()), "title": run.title} for run in reuse}
        if known := {**self._earlier.get("reused_from", {}), **others}:
            self.manifest["reused_from"] = known
        if resumed:
            before = {name: value for name, value in self._earlier.items() if name not in ("earlier_parts", "left_out")}
            self.manifest["earlier_parts"] = [*self._earlier.get("earlier_parts", []), before]
            if prepared.edits is None:
                self._carry_over()

    def _carry_over(self) -> None:
        """Keep the facts of roles that only an earlier part used: the report is about their work, too."""
        for role in {"editor", "reward"} - self._roles:
            self.manifest[role] = self._earlier.get(role)
            of_reward = role == "reward"
            notes = [note for note in self._earlier.get("notes", []) if note.startswith("The reward") == of_reward]
            self.manifest["notes"] = [*notes, *self.manifest["notes"]]
        if "reward" not in self._roles:
            self._keep("official", "prompts_sha256", "combine")
        if "editor" not in self._roles:
            self._keep("optimizations")
            if self.manifest["official"] is not None:
                parameters = (self.manifest["editor"] or {}).get("parameters", {})
                self.manifest["official"]["all_sources"] = parameters.get("images") == "all"

    def _keep(self, *names: str) -> None:
        self.manifest |= {name: self._earlier[name] for name in names if name in self._earlier}

    def write(self) -> None:
        """Write both files.

        Raises:
            OSError: they cannot be written.
        """
        self._directory.write_text("config.yaml", self._config.as_resolved_yaml())
        self._directory.write_json(_NAME, self.manifest)

    def note_pool(self, tenancy: Tenancy) -> None:
        """Note the workers, their devices and their models."""
        workers = [worker for worker in tenancy.workers if worker.role in self._roles]
        earlier = [worker for worker in self._earlier.get("workers", []) if worker["role"] not in self._roles]
        add_workers(self.manifest, workers, earlier=earlier)
        self.manifest["residency"] = "swap" if tenancy.swap else "resident"
        self.manifest["devices"] = {f"{role}s": list(devices) for role, devices in tenancy.devices.items()}

    def differences(self) -> list[str]:
        """What differs from the part before this one."""
        return manifest_differences(self._earlier, self.manifest) if self._earlier else []

    def rewrite_manifest(self, tenancy: Tenancy) -> None:
        """Write the manifest again, with the workers as they are now; a failure is only logged."""
        self.note_pool(tenancy)
        try:
            self._directory.write_json(_NAME, self.manifest)
        except OSError as error:
            log.error("The manifest can't be written: %s", error)
