-- What keys have spent and is not added to them yet: one row for many usage rows, written in their
-- transaction. Adding it to each key at once would write a page for nearly every usage row.
CREATE TABLE spend_log (
    -- A UUIDv7.
    id    BYTEA NOT NULL PRIMARY KEY,
    -- For each key its hash and nano-USD, big end first: 40 bytes.
    spent BYTEA NOT NULL
);
