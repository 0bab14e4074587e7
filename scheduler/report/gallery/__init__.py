"""The HTML gallery: a run's pictures and scores as one page that needs no server, no network and nothing installed."""

from scheduler.report.gallery.data import render_gallery
from scheduler.report.gallery.page import render_page
from scheduler.report.gallery.pictures import Pictures

__all__ = ["Pictures", "render_gallery", "render_page"]
