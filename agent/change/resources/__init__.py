"""Resource types, a family a module."""
