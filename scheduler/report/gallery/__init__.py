"""The HTML gallery: a run's pictures and scores on one page that needs no server, no network and no installation."""
