-- The first schema. For people: the table `runs` and the views `steps` and `events`. Instants are epoch seconds in
-- the tables and UTC text in the views.

CREATE TABLE runs (
    no INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of creation; never given twice
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    version TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    entrypoint TEXT NOT NULL,
    status TEXT NOT NULL,
    metadata TEXT NOT NULL,
    tags TEXT NOT NULL,
    created_at REAL NOT NULL,
    ended_at REAL,
    error TEXT NOT NULL,
    owner TEXT
);

CREATE INDEX runs_by_workflow ON runs (workflow);
CREATE INDEX runs_by_status ON runs (status);
CREATE INDEX runs_by_workflow_and_status ON runs (workflow, status);
CREATE INDEX runs_by_creation ON runs (created_at);

-- The tags of `runs` once more, to search by.
CREATE TABLE run_tags (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    run INTEGER NOT NULL REFERENCES runs (no),
    PRIMARY KEY (key, value, run)
) WITHOUT ROWID;

CREATE INDEX run_tags_by_run ON run_tags (run);

-- The truth: everything else is a view of it. `data` is JSON; of step.completed it is the output.
CREATE TABLE log (
    run INTEGER NOT NULL REFERENCES runs (no),
    seq INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    step TEXT,
    attempt INTEGER NOT NULL,
    data TEXT
);

CREATE UNIQUE INDEX log_fence ON log (run, seq); -- two owners of one run collide here

-- A handful of rows a run: what the view `steps` asks of the log beside the steps.
CREATE INDEX log_turns ON log (run, seq) WHERE kind IN ('run.failed', 'run.resumed');

CREATE TABLE definitions (
    fingerprint TEXT PRIMARY KEY,
    data TEXT NOT NULL
) WITHOUT ROWID;

-- Which runs were started or resumed with which definition: a definition goes with the last of them.
CREATE TABLE run_definitions (
    run INTEGER NOT NULL REFERENCES runs (no),
    fingerprint TEXT NOT NULL,
    PRIMARY KEY (run, fingerprint)
) WITHOUT ROWID;

CREATE INDEX run_definitions_by_fingerprint ON run_definitions (fingerprint);

-- Messages stay when they are folded into the log, so that a second delivery is recognised.
CREATE TABLE inbox (
    no INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs (no),
    id TEXT NOT NULL,
    signal TEXT NOT NULL,
    payload TEXT NOT NULL,
    folded INTEGER NOT NULL,
    UNIQUE (run, id)
);

CREATE INDEX inbox_waiting ON inbox (no) WHERE folded = 0;

CREATE VIEW events AS
SELECT
    runs.id AS run,
    log.seq AS seq,
    strftime('%Y-%m-%d %H:%M:%fZ', log.at, 'unixepoch') AS at,
    log.kind AS kind,
    log.step AS step,
    nullif(log.attempt, 0) AS attempt,
    log.data AS data
FROM log
JOIN runs ON runs.no = log.run;

-- A step is where the last event about it left it, or the resume after that. started_at is that of its first attempt,
-- duration is in seconds from there to the end, waits included; a step that has not ended has neither end nor duration.
CREATE VIEW steps AS
SELECT
    run,
    step,
    CASE
        WHEN is_undone THEN 'pending'
        WHEN kind = 'step.started' THEN 'running'
        ELSE substr(kind, 6)
    END AS status,
    attempts,
    strftime('%Y-%m-%d %H:%M:%fZ', started_at, 'unixepoch') AS started_at,
    CASE WHEN has_ended AND NOT is_undone THEN strftime('%Y-%m-%d %H:%M:%fZ', at, 'unixepoch') END AS ended_at,
    CASE WHEN has_ended AND NOT is_undone THEN round(at - started_at, 3) END AS duration,
    CASE kind WHEN 'step.completed' THEN data END AS output,
    -- The name of the class without its module, and the first line of the message.
    substr(error_type, 1 + length(rtrim(error_type, replace(error_type, '.', ''))))
        || coalesce(': ' || nullif(substr(message, 1, instr(message || char(10), char(10)) - 1), ''), '') AS error,
    CASE WHEN kind IN ('step.skipped', 'step.cancelled') THEN json_extract(data, '$.reason') END AS reason
FROM (
    SELECT
        latest.id AS run,
        latest.step AS step,
        latest.attempts AS attempts,
        latest.started_at AS started_at,
        last.at AS at,
        last.kind AS kind,
        last.data AS data,
        last.kind NOT IN ('step.started', 'step.retrying') AS has_ended,
        CASE WHEN last.kind IN ('step.failed', 'step.retrying')
            THEN json_extract(last.data, '$.error.type_name')
        END AS error_type,
        CASE WHEN last.kind IN ('step.failed', 'step.retrying')
            THEN json_extract(last.data, '$.error.message')
        END AS message,
        EXISTS (
            SELECT 1
            FROM log AS resumed
            WHERE resumed.run = latest.no
                AND resumed.seq > latest.last_seq
                AND resumed.kind IN ('run.failed', 'run.resumed')
                AND resumed.kind = 'run.resumed'
                AND CASE last.kind
                    -- The attempt died with the owner before.
                    WHEN 'step.started' THEN 1
                    -- The run failed for it, and somebody asked to try again.
                    WHEN 'step.failed' THEN json_extract(resumed.data, '$.reason') = 'retry' AND EXISTS (
                        SELECT 1
                        FROM log AS failed, json_each(failed.data, '$.steps') AS culprit
                        WHERE failed.run = latest.no
                            AND failed.seq BETWEEN latest.last_seq AND resumed.seq
                            AND failed.kind IN ('run.failed', 'run.resumed')
                            AND failed.kind = 'run.failed'
                            AND culprit.value = latest.step
                    )
                    -- It ended because the run failed.
                    WHEN 'step.skipped' THEN json_extract(resumed.data, '$.reason') = 'retry'
                        AND json_extract(last.data, '$.cause') IN ('failure', 'deadline')
                    WHEN 'step.cancelled' THEN json_extract(resumed.data, '$.reason') = 'retry'
                        AND json_extract(last.data, '$.cause') IN ('failure', 'deadline')
                    ELSE 0
                END
        ) AS is_undone
    FROM (
        -- Grouped by the text of the id, so that `WHERE run = '...'` reaches the index and reads one run only.
        SELECT
            runs.id AS id,
            runs.no AS no,
            log.step AS step,
            max(log.seq) AS last_seq,
            min(CASE log.kind WHEN 'step.started' THEN log.at END) AS started_at,
            sum(log.kind = 'step.started') AS attempts
        FROM runs
        JOIN log ON log.run = runs.no
        WHERE log.step IS NOT NULL
        GROUP BY runs.id, log.step
    ) AS latest
    JOIN log AS last ON last.run = latest.no AND last.seq = latest.last_seq
);
