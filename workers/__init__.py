"""The device processes: a launcher, and under it one worker process per device with its editor or reward model."""
