"""The pool that a run works on: found or launched, its lease, its workers, where their weights are."""
