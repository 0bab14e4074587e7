"""How public benchmarks are judged and added up, as their authors do it: one file per benchmark.

A plug-in package brings more as ``warmbench.protocols``.
"""
