"""The configuration: the YAML file that says what a run evaluates, with which models, and how.

``loading.load_config`` reads one and reports every mistake at once; ``requests`` has what it asks of the workers.
"""
