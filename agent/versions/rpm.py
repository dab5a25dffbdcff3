"""RPM version order: `epoch:version-release`, epoch 0 left out (rpm.org, rpmvercmp)."""

from __future__ import annotations

from univers.rpm import compare_rpm_versions


def compare(left: str, right: str) -> int:
    """Order of two versions; a text that is no version sorts as text rather than raise."""
    try:
        return int(compare_rpm_versions(left, right))
    except (ValueError, TypeError, AttributeError, IndexError):
        return (left > right) - (left < right)
