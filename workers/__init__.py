"""The device processes: a launcher, and for each device a worker process with its editor or reward model."""
