"""What all tests share."""

pytest_plugins = ["tests.browser", "tests.tiny_model_fixtures"]
