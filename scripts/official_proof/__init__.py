"""Proves that warmbench judges as a benchmark's authors do: the same requests, the same numbers.

    python -m scripts.official_proof gedit --official ~/Step1X-Edit --python ~/their-venv/bin/python

It makes synthetic data in the official layout and edits of it, and starts a judge's server that answers by a hash of
the request. The authors' scripts, copied to a temporary folder with the patches that the proof lists, and `warmbench
score` ask it about the same edits. Then their requests are compared character by character, images by their bytes, and
their numbers to 1e-9. ``--python`` is an interpreter with the packages that the scripts import.

One file per protocol, in the table of ``__main__``.
"""
