"""What counts, what is missing, what is due: pure. No I/O, no clock, no network."""
