"""``make bench``: measures how close the product comes to the ideal, as ratios.

Absolute times depend on the machine; a ratio of two things that are measured in turns on one machine depends on it far
less. Devices are simulated (a sleep), so no GPU is needed; everything else is real. ``docs/performance.md`` explains
each figure.
"""
