"""The exit codes of commands that run something; ``warmbench run --help`` says what they mean."""

EXIT_COMPLETE = 0
EXIT_ABORTED = 1
EXIT_USAGE = 2
EXIT_INCOMPLETE = 3
EXIT_INTERRUPTED = 130
