"""The pool that a run works on: finding or launching it, its lease, its workers, where their weights are."""
