"""The pictures of the demo benchmark, a file per category. ``make_demo_data`` describes what each shows.

Every scene can be drawn as it is, and as it looks once its instruction is followed (``edited``).
"""
