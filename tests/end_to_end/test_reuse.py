"""``--reuse``: a new run takes over the edits and scores of another one, and makes what that one lacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness import User, small_benchmark


@pytest.mark.slow
@pytest.mark.warm
def test_a_run_takes_over_what_another_has_and_makes_the_rest(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json"))
    assert user.run_config(config, "--limit", "3", "--name", "the first").code == 0
    first, edits = user.run_folder(), user.hashes()
    (first / "images" / "spatial" / "1.png").write_bytes(b"another image")

    dry = user.check_config(config, "--reuse", "the first", "--dry-run")
    assert f"Reuses: of 6 edits and 6 scores of run {first.name} (the first), those of the same identity" in dry.output
    unknown = user.check_config(config, "--reuse", "the second")
    assert (unknown.code, "there is no run 'the second'" in unknown.output) == (2, True)

    result = user.run_config(config, "--reuse", "the first")
    assert result.code == 0, result.output
    assert "Reused: 5 of 8 edits, 5 of 8 scores" in result.output
    assert f"Taken over from run {first.name} (the first): 5 edits, 6 scores" in result.output
    swapped = "1 its image in the other run is not the one that was made"
    assert f"To edit: 3 (2 not done before, {swapped})" in result.output
    rows = [row for row in user.rows("edited") if (row["category"], row["pair_id"]) != ("spatial", "1")]
    taken = [row for row in rows if row.get("reused_from") == first.name]
    assert (len(taken), len(rows)) == (5, 7)
    assert len([row for row in user.rows("scored") if "reused_from" not in row]) == 2
    assert all((user.run_folder() / row["image"]).stat().st_nlink == 2 for row in taken), "images are links"
    assert {key: user.hashes()[key] for key in edits} == edits
    note = f"Taken over from run {first.name} (the first): 5 edits and 6 scores."
    assert note in user.report()["notes"]
    assert note in result.output.replace("\n", " ")
    assert note in (user.output / f"evaluation_report_{user.run_folder().name}.html").read_text(encoding="utf-8")

    # Another judge: the edits stay, the scores are made anew. Nothing of this is done twice when it is resumed.
    other = user.simulated(tmp_path / "data.json", reward={"score_range": [0, 5]}, evaluation={"output_dir": "others"})
    result = user.run_config(other, "--reuse", user.run_folder(), "--reuse", first)
    assert result.code == 0, result.output
    assert "Reused: 8 of 8 edits, 0 of 8 scores" in result.output
    (folder,) = (tmp_path / "others" / "runs").glob("2*")
    before = (folder / "results.jsonl").read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["reused_from"]) == {first.name, user.run_folder().name}
    again = user.run_config(other, "--resume", "latest", "--reuse", folder)
    assert again.code == 0, again.output
    assert "Reused: 8 of 8 edits, 8 of 8 scores" in again.output
    assert (folder / "results.jsonl").read_bytes() == before


@pytest.mark.slow
@pytest.mark.warm
def test_scores_of_images_made_elsewhere_are_taken_over_by_their_bytes(user: User, tmp_path: Path) -> None:
    config = user.simulated(small_benchmark(tmp_path / "data.json", pairs=2))
    assert user.run_config(config).code == 0
    first = user.run_folder()
    result = user.score(first / "images", config, "--reuse", first)
    assert result.code == 0, result.output
    assert f"Taken over from run {first.name} (simulated): 0 edits, 4 scores" in result.output
    assert len(user.rows("edited")) == 4
    assert {row["reused_from"] for row in user.rows("scored")} == {first.name}
