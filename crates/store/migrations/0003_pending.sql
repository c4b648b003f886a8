-- Answers that their provider is still working on, asked for in the background. The usage row is
-- written and its cost added to the key in the transaction that deletes the row here, so that each
-- is paid for once, by whichever process comes first.
CREATE TABLE pending (
    -- The request's, and the usage row's.
    id          BYTEA  NOT NULL PRIMARY KEY,
    -- The answer's id as the client knows it.
    answer      TEXT   NOT NULL,
    key_hash    BYTEA,
    -- Set aside of the key's budget.
    held        BIGINT NOT NULL,
    -- When the provider is to be asked next. Who asks moves it on first: nobody else does meanwhile.
    due_us      BIGINT NOT NULL,
    -- From then on the answer is taken for lost.
    deadline_us BIGINT NOT NULL,
    -- How often in a row the provider did not know it.
    missed      BIGINT NOT NULL,
    detail      TEXT   NOT NULL
);

CREATE INDEX pending_due ON pending (due_us);
CREATE INDEX pending_answer ON pending (answer);
