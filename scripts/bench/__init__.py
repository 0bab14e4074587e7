"""``make bench``: how near the product comes to the ideal, in ratios that one run measures side by side.

Absolute times depend on the machine; a ratio of two things that were measured in turns on the same machine depends on
it far less. Devices are simulated (a device's time is a sleep), so no GPU is needed; everything around them is real.
``docs/performance.md`` says what each figure means and where it ends.
"""
