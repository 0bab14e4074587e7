"""The gallery of a real run in a real browser: the pictures that the workers made are where the page looks for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import visit
from tests.harness import User, encoded, pair, picture, write_data

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.mark.warm
@pytest.mark.slow
def test_a_run_that_keeps_no_edits_still_shows_them_and_why_one_is_missing(
    user: User, chromium: Browser, tmp_path: Path
) -> None:
    image = encoded(picture((640, 320)))
    names = ["1", "50% #2?", "bad"]
    data = write_data(
        tmp_path / "data.json", {"物理": [pair(name, image) for name in names], "b c": [pair("x", image)]}
    )
    config = user.simulated(
        data,
        editor={"faults": {"error": ["物理/bad"]}},
        evaluation={"save_generated_images": False, "samples_per_pair": 2},
    )
    assert user.run_config(config).code == 3
    run = user.run_folder()
    with visit(chromium) as visitor:
        visitor.open(user.output / f"evaluation_report_{run.name}.html")
        visitor.wait_for_pictures()
        sizes = "(images) => images.map((image) => [image.naturalWidth, image.naturalHeight])"
        cards = visitor.page.locator(".card")
        assert cards.count() == 4
        assert cards.locator("img").evaluate_all(sizes) == [[384, 192]] * 7
        bad = visitor.page.locator(".card", has_text="bad")
        assert bad.locator("img").count() == 1
        assert "error" in bad.locator(".placeholder").inner_text()
        visitor.page.locator(".card", has_text="50% #2?").click()
        visitor.page.keyboard.press("]")
        visitor.wait_for_pictures()
        stage = visitor.page.locator("dialog.detail .stage")
        assert stage.locator("img").evaluate_all(sizes) == [[384, 192]] * 2
        assert "edit-sample-1" in (stage.locator("img").last.get_attribute("src") or "")
        assert visitor.complaints == []
        assert all(url.startswith(("file:", "data:")) for url in visitor.requests)

    assert user.check("compare", run.name, run.name).code == 0
    with visit(chromium) as visitor:
        visitor.open(user.output / f"comparison_{run.name}_{run.name}.html")
        visitor.wait_for_pictures()
        assert visitor.page.locator(".figure.main .value").inner_text() == "0.00"
        assert visitor.page.locator(".card img").evaluate_all(sizes) == [[384, 192]] * 10
        assert visitor.complaints == []
