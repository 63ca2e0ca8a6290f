-- The ledger of a run: what survives. Times are seconds since the epoch, UTC.
-- States: 0 pending, 1 assigned, 2 delivered, 3 completed, 4 limbo.

CREATE TABLE clients (
    client INTEGER PRIMARY KEY,
    name   TEXT NOT NULL,
    host   TEXT NOT NULL,
    UNIQUE (name, host)
) STRICT;

-- One row a target chunk. attempt: number of the newest attempt, which fences older ones; it never goes back.
-- used: attempts that count against the limit (a person's retry sets it back to 0).
CREATE TABLE chunks (
    chunk    INTEGER PRIMARY KEY,
    state    INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 4),
    attempt  INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    used     INTEGER NOT NULL DEFAULT 0 CHECK (used BETWEEN 0 AND attempt),
    client   INTEGER REFERENCES clients,
    retry_at REAL
) STRICT;

-- Chunks of one client that belong together. destination, outcome: only where the destination has transactions of
-- its own: its number of this one, and what became of it there.
CREATE TABLE transactions (
    id      INTEGER PRIMARY KEY,
    client  INTEGER NOT NULL REFERENCES clients,
    started REAL NOT NULL,
    ended   REAL,
    destination INTEGER,
    outcome TEXT CHECK (outcome IN ('committed', 'aborted', 'refused'))
) STRICT;

-- started: when the chunk was handed out, and once ended: when its client came to it.
-- outcome: completed, failed, lost (nobody is to blame), returned (given back; uses up no attempt) or
-- delivered (done, and waits for the commit of its transaction).
-- folder: where the files of a completed attempt stay on the client's host; empty: they are in the run directory.
-- figures: JSON [[[table, rows, overlap rows, bytes, {stage: seconds}], ...], {stage: seconds}]
CREATE TABLE attempts (
    chunk        INTEGER NOT NULL REFERENCES chunks,
    attempt      INTEGER NOT NULL CHECK (attempt >= 1),
    client       INTEGER NOT NULL REFERENCES clients,
    transaction_id INTEGER NOT NULL REFERENCES transactions,
    started      REAL NOT NULL,
    ended        REAL,
    outcome      TEXT CHECK (outcome IN ('completed', 'failed', 'lost', 'returned', 'delivered')),
    fault        TEXT NOT NULL DEFAULT '',
    stage        TEXT NOT NULL DEFAULT '',
    error        TEXT NOT NULL DEFAULT '',
    rows         INTEGER NOT NULL DEFAULT 0,
    overlap_rows INTEGER NOT NULL DEFAULT 0,
    bytes        INTEGER NOT NULL DEFAULT 0,
    figures      TEXT NOT NULL DEFAULT '',
    folder       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (chunk, attempt),
    CHECK ((ended IS NULL) = (outcome IS NULL))
) STRICT, WITHOUT ROWID;

-- A chunk is never two clients' at once.
CREATE UNIQUE INDEX one_open_attempt ON attempts (chunk) WHERE ended IS NULL OR outcome = 'delivered';

CREATE INDEX open_transactions ON transactions (id) WHERE ended IS NULL;

-- What else must not be forgotten, by name.
CREATE TABLE notes (
    name TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT;

CREATE INDEX limbo ON chunks (chunk) WHERE state = 4;
