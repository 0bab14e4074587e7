"""``warmbench series``: runs of one benchmark side by side, checkpoint after checkpoint or model beside model."""
