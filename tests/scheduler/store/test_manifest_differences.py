"""Which versions differ between the workers and the scheduler."""

from __future__ import annotations

from scheduler.store.manifest_differences import version_differences


def worker(role: str, **versions: str) -> dict[str, object]:
    return {"role": role, "versions": versions}


def test_versions_that_are_the_same_for_all_are_no_difference() -> None:
    workers = [worker("editor", torch="2.13.0", pyzmq="27"), worker("reward", torch="2.13.0", pyzmq="27")]
    assert version_differences({"python": "3.11.7", "pyzmq": "27"}, workers) == {}


def test_a_package_that_only_one_side_has_is_no_difference() -> None:
    assert version_differences({"rich": "15"}, [worker("editor", diffusers="0.42"), worker("reward")]) == {}


def test_each_side_is_named_with_its_version() -> None:
    workers = [worker("editor", transformers="5.23.0", python="3.11.7"), worker("reward", transformers="4.57.6")]
    assert version_differences({"python": "3.12.1"}, workers) == {
        "python": {"scheduler": "3.12.1", "editor": "3.11.7"},
        "transformers": {"editor": "5.23.0", "reward": "4.57.6"},
    }


def test_workers_of_one_role_may_differ_too() -> None:
    workers = [worker("reward", torch="2.13.0"), worker("reward", torch="2.12.1"), worker("reward", torch="2.13.0")]
    assert version_differences({}, workers) == {"torch": {"reward": "2.12.1, 2.13.0"}}
