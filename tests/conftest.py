"""What all tests share."""

pytest_plugins = ["tests.tiny_model_fixtures"]
