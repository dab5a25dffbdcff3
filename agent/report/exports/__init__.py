"""Findings for other tools: JSON lines, CSV, SARIF, CycloneDX, OpenVEX, CSAF-VEX. Pure: values in, text out."""

from agent.report.exports.values import Export, Item, Place

__all__ = ["Export", "Item", "Place"]
