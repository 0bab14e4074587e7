"""What puts worker processes onto machines: one file per way. Packages bring more as ``warmbench.placers``."""
