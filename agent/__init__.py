"""Security operations for a fleet of hosts and databases: scan, judge, seal, report."""

__version__ = "0.1.0"
