"""The models that a worker can hold."""
