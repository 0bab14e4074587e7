"""Reads the records of files, one after the other: JSON, JSON Lines, Arrow, Parquet. Formats make items of them."""

from scheduler.benchmark.records.record import Record

__all__ = ["Record"]
