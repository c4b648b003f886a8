-- Times are µs since 1970, money is nano-USD, JSON is TEXT, truth is 0 or 1.

-- Columns are what keys are found by and what changes by itself; all else is in `detail`: all keys
-- are read at each start, and each column costs time there.
CREATE TABLE keys (
    hash             BYTEA  NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    alias            TEXT,
    user_id          TEXT,
    team_id          TEXT,
    blocked          BIGINT NOT NULL CHECK (blocked IN (0, 1)),
    spend            BIGINT NOT NULL,
    -- The start of the window that `spend` counts in; makes a reset idempotent.
    budget_window_us BIGINT,
    budget_reset_us  BIGINT,
    created_us       BIGINT NOT NULL,
    detail           TEXT   NOT NULL
);

CREATE UNIQUE INDEX keys_alias ON keys (alias);

-- Where the spending of a regenerated key goes: requests under way carry the old hash.
CREATE TABLE key_successors (
    old_hash BYTEA NOT NULL PRIMARY KEY CHECK (length(old_hash) = 32),
    new_hash BYTEA NOT NULL CHECK (length(new_hash) = 32)
);

-- Columns are what rows are found, sorted and summed by; all else is in `detail`.
-- The id is a UUIDv7, so the primary key is also the order of time.
CREATE TABLE usage (
    id          BYTEA  NOT NULL PRIMARY KEY,
    started_us  BIGINT NOT NULL,
    key_hash    BYTEA,
    key_alias   TEXT,
    user_id     TEXT,
    team_id     TEXT,
    end_user    TEXT,
    model_group TEXT   NOT NULL,
    model       TEXT   NOT NULL,
    status      BIGINT NOT NULL,
    failed      BIGINT NOT NULL,
    input       BIGINT NOT NULL,
    output      BIGINT NOT NULL,
    -- NULL: the price is not known.
    cost        BIGINT,
    detail      TEXT   NOT NULL
);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
