"""Trains a tiny Qwen-Image-Edit on the demo's scenes, and a tiny judge of its edits: checkpoints to evaluate.

Everything is overfitted: the models learn fifteen drawings by heart, which is enough for edits that people recognise.
"""
