"""The tables of state/feeds.db, as numbered steps; `PRAGMA user_version` says how many were taken."""

from __future__ import annotations

STEPS = (
    """
    -- One import of one file: where every row leads to in the end. `whole` counts its documents when all of it was
    -- taken, with nothing refused, left out or unknown.
    CREATE TABLE origin (
        id INTEGER PRIMARY KEY, source TEXT NOT NULL, signature TEXT NOT NULL, imported_at TEXT NOT NULL,
        imported_by TEXT NOT NULL, sha256 TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL DEFAULT 0,
        whole INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX origin_sha256 ON origin (sha256);
    -- What stands behind the lists of `agent feeds status`: derived, written anew at the end of each import.
    CREATE TABLE feed (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, ecosystem TEXT NOT NULL, authority TEXT NOT NULL,
        licence TEXT NOT NULL, records INTEGER NOT NULL DEFAULT 0, documents INTEGER NOT NULL DEFAULT 0,
        newest TEXT NOT NULL DEFAULT '', sha256 TEXT NOT NULL DEFAULT '', origin INTEGER
    );
    -- `current` is the newest of its scope, older ones stay while a row leads to them.
    CREATE TABLE document (
        id INTEGER PRIMARY KEY, feed INTEGER NOT NULL, scope TEXT NOT NULL, current INTEGER NOT NULL,
        name TEXT NOT NULL, sha256 TEXT NOT NULL, date TEXT NOT NULL, origin INTEGER NOT NULL
    );
    CREATE INDEX document_scope ON document (feed, scope);
    CREATE INDEX document_sha256 ON document (sha256);
    CREATE INDEX document_origin ON document (origin);

    -- A withdrawn one keeps its row, without statements, so that an older copy does not bring it back.
    CREATE TABLE advisory (
        id INTEGER PRIMARY KEY, feed INTEGER NOT NULL, name TEXT NOT NULL, document INTEGER NOT NULL,
        modified TEXT NOT NULL, published TEXT NOT NULL, title TEXT NOT NULL, severity TEXT NOT NULL, score REAL,
        vector TEXT NOT NULL, cves TEXT NOT NULL, aliases TEXT NOT NULL, url TEXT NOT NULL, withdrawn INTEGER NOT NULL,
        first INTEGER NOT NULL, statements INTEGER NOT NULL
    );
    CREATE UNIQUE INDEX advisory_name ON advisory (feed, name);
    CREATE INDEX advisory_document ON advisory (document);

    CREATE TABLE stream (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    -- Scheme, by and status: a few dozen combinations.
    CREATE TABLE shape (
        id INTEGER PRIMARY KEY, scheme TEXT NOT NULL, by TEXT NOT NULL, status TEXT NOT NULL,
        UNIQUE (scheme, by, status)
    );
    -- Statements of one advisory have ids `first` and the next ones, so that no index by advisory is needed.
    CREATE TABLE affected (
        id INTEGER PRIMARY KEY, advisory INTEGER NOT NULL, stream INTEGER NOT NULL, package TEXT NOT NULL,
        shape INTEGER NOT NULL, introduced TEXT NOT NULL, fixed TEXT NOT NULL, cves TEXT NOT NULL, extra TEXT NOT NULL
    );
    CREATE INDEX affected_package ON affected (stream, package);
    CREATE TABLE speaks (
        feed INTEGER NOT NULL, stream INTEGER NOT NULL, newest TEXT NOT NULL, advisories INTEGER NOT NULL,
        PRIMARY KEY (feed, stream)
    ) WITHOUT ROWID;

    CREATE TABLE note (
        cve TEXT NOT NULL, feed INTEGER NOT NULL, document INTEGER NOT NULL, title TEXT NOT NULL, score REAL,
        vector TEXT NOT NULL, severity TEXT NOT NULL, cnnvd TEXT NOT NULL, rejected INTEGER NOT NULL,
        PRIMARY KEY (cve, feed)
    ) WITHOUT ROWID;
    CREATE INDEX note_document ON note (document);
    CREATE TABLE exploited (
        cve TEXT NOT NULL, feed INTEGER NOT NULL, document INTEGER NOT NULL, added TEXT NOT NULL, due TEXT NOT NULL,
        ransomware INTEGER NOT NULL, name TEXT NOT NULL, action TEXT NOT NULL, PRIMARY KEY (cve, feed)
    ) WITHOUT ROWID;
    CREATE INDEX exploited_document ON exploited (document);
    CREATE TABLE likelihood (
        cve TEXT NOT NULL, feed INTEGER NOT NULL, document INTEGER NOT NULL, probability REAL NOT NULL,
        percentile REAL NOT NULL, PRIMARY KEY (cve, feed)
    ) WITHOUT ROWID;
    CREATE INDEX likelihood_document ON likelihood (document);
    CREATE TABLE lifecycle (
        product TEXT NOT NULL, cycle TEXT NOT NULL, feed INTEGER NOT NULL, document INTEGER NOT NULL,
        eol TEXT NOT NULL, extended TEXT NOT NULL, released TEXT NOT NULL, latest TEXT NOT NULL, source TEXT NOT NULL,
        checked TEXT NOT NULL, PRIMARY KEY (product, cycle, feed)
    ) WITHOUT ROWID;
    CREATE INDEX lifecycle_document ON lifecycle (document);
    """,
)
"""Each brings the schema to its number; a step that was released is never edited. Split at `;`: none in comments."""

VERSION = len(STEPS)
