"""Grades of a finding, shown in Chinese as GB/T 30279-2020 names them."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """Ordered from worst to least; GB/T 30279-2020 words are in :attr:`zh`."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def zh(self) -> str:
        """The word of GB/T 30279-2020 (超危, 高危, 中危, 低危) or 提示."""
        return {"critical": "超危", "high": "高危", "medium": "中危", "low": "低危", "info": "提示"}[self.value]

    @property
    def rank(self) -> int:
        """0 is the worst; sorts findings."""
        return list(Severity).index(self)

    @classmethod
    def from_cvss(cls, score: float) -> Severity:
        """Map a CVSS base score: >=9 critical, >=7 high, >=4 medium, else low (按 CVSS 映射, not GB/T 30279)."""
        for floor, grade in ((9.0, cls.CRITICAL), (7.0, cls.HIGH), (4.0, cls.MEDIUM)):
            if score >= floor:
                return grade
        return cls.LOW
