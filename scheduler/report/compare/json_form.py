"""A comparison as JSON, for programs: every pair, every number unrounded, null for what there is not."""

from __future__ import annotations

from typing import Any

import msgspec

from scheduler.base.text import encodable
from scheduler.report.compare.comparison import GroupComparison, Key
from scheduler.report.compare.result import Against, Compared, Result


def comparison_as_json(result: Result) -> bytes:
    """Return it as UTF-8 JSON, with a newline at its end."""
    plain = {
        "runs": [_run(one) for one in result.runs],
        "fail_if_worse": result.limit,
        "comparisons": [_against(result, one) for one in result.against],
    }
    return msgspec.json.format(msgspec.json.encode(_encodable(plain)), indent=2) + b"\n"


def _run(one: Compared) -> dict[str, Any]:
    return {
        "label": one.label,
        "run": one.run.stamp,
        "directory": str(one.run.path.absolute()),
        "status": one.report.status,
        "running": one.running,
        "notes": list(one.report.notes),
    }


def _against(result: Result, against: Against) -> dict[str, Any]:
    comparison = against.comparison
    return {
        "first": result.first.label,
        "other": against.other.label,
        "worse": None if result.limit is None else comparison.is_worse(result.limit),
        "settings": list(against.settings),
        "overall": _group(comparison.overall),
        "categories": {name: _group(group) for name, group in comparison.categories.items()},
        "not_comparable": [{**_key(pair.key), "differs": list(pair.what)} for pair in comparison.unlike],
        "without_score": [{**_key(one.key), "first": one.first, "other": one.other} for one in comparison.unscored],
        "only_in_first": [_key(key) for key in comparison.only_first],
        "only_in_other": [_key(key) for key in comparison.only_other],
        "pairs": [
            {**_key(pair.key), "first": pair.first, "other": pair.other, "difference": pair.difference}
            for pair in comparison.pairs
        ],
    }


def _group(group: GroupComparison) -> dict[str, Any]:
    difference = group.difference
    return {
        "num_pairs": difference.num_pairs,
        "first_mean": group.first_mean,
        "other_mean": group.other_mean,
        "mean_difference": difference.mean_difference,
        "std_difference": difference.std_difference,
        "ci95": None if difference.ci95 is None else list(difference.ci95),
        "wins": difference.wins,
        "ties": difference.ties,
        "losses": difference.losses,
        "sign_test_p": difference.sign_test_p,
    }


def _key(key: Key) -> dict[str, Any]:
    return {"category": key.category, "pair_id": key.pair_id}


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {encodable(key): _encodable(item) for key, item in value.items()}
    return [_encodable(item) for item in value] if isinstance(value, list) else value
