"""Experiment trackers that get the results of runs: one file per tracker."""
