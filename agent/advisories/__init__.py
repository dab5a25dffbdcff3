"""Advisories: import feeds into an indexed store of their own (state/feeds.db), look up by stream and package."""
