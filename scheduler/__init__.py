"""The control process: config, benchmark, rounds, dispatch, ledger, reports, command line. Never imports torch."""
