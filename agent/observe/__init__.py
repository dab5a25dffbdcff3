"""Collectors: one script (or one query batch, or one nmap run) out, facts back."""
