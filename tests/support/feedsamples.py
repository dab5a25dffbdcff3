"""Feeds in the real forms with made-up content."""

import json


def kev(*cves, released="2026-11-20T10:00:00.0000Z"):
    """A catalogue in CISA's form, all of it made up."""
    entries = [
        {
            "cveID": cve,
            "vendorProject": "Example",
            "product": "Widget",
            "vulnerabilityName": "Example Widget Vulnerability",
            "dateAdded": "2026-11-19",
            "shortDescription": "Made up.",
            "requiredAction": "Apply updates.",
            "dueDate": "2026-12-10",
            "knownRansomwareCampaignUse": "Unknown",
            "notes": "",
        }
        for cve in cves
    ]
    whole = {
        "title": "CISA Catalog of Known Exploited Vulnerabilities",
        "catalogVersion": "2026.11.20",
        "dateReleased": released,
        "count": len(entries),
        "vulnerabilities": entries,
    }
    return json.dumps(whole).encode()
