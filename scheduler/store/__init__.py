"""What a run leaves on disk: the ledger, the run directory, the manifest, the trace."""
