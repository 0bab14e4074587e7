"""Moves the weights of torch modules between the host and a device. Import it late: it imports torch."""
