"""The HTML gallery: a run's pictures and scores on one page that needs no server, no network and no installation."""

from scheduler.report.gallery.page import render_page
from scheduler.report.gallery.pictures import Pictures
from scheduler.report.gallery.run_page import render_gallery

__all__ = ["Pictures", "render_gallery", "render_page"]
