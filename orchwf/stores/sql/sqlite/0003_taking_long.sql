-- Items: which of several results of a step an event is about, counted from 0. Sleep: when (epoch seconds) a run goes on
-- that nobody executes meanwhile; infinity if only a message wakes it; NULL if it does not sleep.

ALTER TABLE log ADD COLUMN item INTEGER;
ALTER TABLE runs ADD COLUMN wake_at REAL;
ALTER TABLE runs ADD COLUMN slept_at REAL; -- since when: by a clock that is set back it may be in the future

CREATE INDEX runs_asleep ON runs (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX runs_asleep_since ON runs (slept_at) WHERE slept_at IS NOT NULL;

-- Whose runs are at work. Those that sleep are many, and nobody's.
CREATE INDEX runs_awake ON runs (owner) WHERE status = 'running' AND wake_at IS NULL;

DROP VIEW events;

CREATE VIEW events AS
SELECT
    runs.id AS run,
    log.seq AS seq,
    strftime('%Y-%m-%d %H:%M:%fZ', log.at, 'unixepoch') AS at,
    log.kind AS kind,
    log.step AS step,
    nullif(log.attempt, 0) AS attempt,
    log.item AS item,
    log.data AS data
FROM log
JOIN runs ON runs.no = log.run;

-- Where each step is, and each item of those that have several: where the last event about it left it, or the resume
-- after that. What `steps` and `items` below are made of.
CREATE VIEW step_states AS
SELECT
    *,
    CASE
        WHEN is_undone THEN iif(is_expanded, 'waiting', 'pending')
        WHEN kind = 'step.started' THEN 'running'
        WHEN kind IN ('timer.set', 'timer.fired', 'child.started', 'step.expanded') THEN 'waiting'
        ELSE substr(kind, 6)
    END AS status,
    NOT is_undone AND kind IN ('step.completed', 'step.failed', 'step.skipped', 'step.cancelled') AS has_ended
FROM (
    SELECT
        latest.id AS run,
        latest.step AS step,
        latest.item AS item,
        -- To take the items apart was no attempt to do anything.
        CASE
            WHEN latest.expanded_seq IS NULL THEN latest.attempts
            ELSE (
                SELECT count(*)
                FROM log AS started
                WHERE started.run = latest.no
                    AND started.seq > latest.expanded_seq
                    AND started.step = latest.step
                    AND started.item IS NULL
                    AND started.kind = 'step.started'
            )
        END AS attempts,
        latest.started_at AS started_at,
        last.at AS at,
        last.kind AS kind,
        last.data AS data,
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
                AND CASE
                    -- The attempt died with the owner before.
                    WHEN last.kind = 'step.started' THEN 1
                    WHEN json_extract(resumed.data, '$.reason') <> 'retry' THEN 0
                    -- It waited for somebody to resume the run.
                    WHEN last.kind = 'step.retrying' THEN json_extract(last.data, '$.due_at') IS NULL
                    -- An item that did not go well, of a step that did not either.
                    WHEN latest.item IS NOT NULL THEN (
                        last.kind = 'step.failed' OR (
                            last.kind IN ('step.skipped', 'step.cancelled')
                            AND json_extract(last.data, '$.cause') IN ('failure', 'deadline')
                        )
                    ) AND (
                        EXISTS (
                            SELECT 1
                            FROM log AS failed, json_each(failed.data, '$.steps') AS culprit
                            WHERE failed.run = latest.no
                                AND failed.seq BETWEEN latest.last_seq AND resumed.seq
                                AND failed.kind IN ('run.failed', 'run.resumed')
                                AND failed.kind = 'run.failed'
                                AND culprit.value = latest.step
                        ) OR EXISTS (
                            SELECT 1
                            FROM json_each(resumed.data, '$.reset') AS named
                            WHERE named.value = latest.step
                        ) OR EXISTS (
                            SELECT 1
                            FROM log AS whole
                            WHERE whole.run = latest.no
                                AND whole.seq BETWEEN latest.last_seq AND resumed.seq
                                AND whole.step = latest.step
                                AND whole.item IS NULL
                                AND whole.kind IN ('step.skipped', 'step.cancelled')
                                AND json_extract(whole.data, '$.cause') IN ('failure', 'deadline')
                        )
                    )
                    -- The run failed for it, and somebody asked to try again.
                    WHEN last.kind = 'step.failed' THEN EXISTS (
                        SELECT 1
                        FROM log AS failed, json_each(failed.data, '$.steps') AS culprit
                        WHERE failed.run = latest.no
                            AND failed.seq BETWEEN latest.last_seq AND resumed.seq
                            AND failed.kind IN ('run.failed', 'run.resumed')
                            AND failed.kind = 'run.failed'
                            AND culprit.value = latest.step
                    )
                    -- It ended because the run failed.
                    WHEN last.kind IN ('step.skipped', 'step.cancelled')
                        THEN json_extract(last.data, '$.cause') IN ('failure', 'deadline')
                    ELSE 0
                END
        ) OR (
            latest.item IS NULL AND EXISTS (
                -- It was said to run again, whatever its end was.
                SELECT 1
                FROM log AS resumed, json_each(resumed.data, '$.reset') AS named
                WHERE resumed.run = latest.no
                    AND resumed.seq > latest.last_seq
                    AND resumed.kind IN ('run.failed', 'run.resumed')
                    AND resumed.kind = 'run.resumed'
                    AND named.value = latest.step
            )
        ) AS is_undone,
        -- It is known which items it has: then it waits for them again.
        latest.expanded_seq IS NOT NULL
        AND latest.item_count > 0
        AND NOT EXISTS (
            SELECT 1
            FROM log AS resumed, json_each(resumed.data, '$.changed') AS named
            WHERE resumed.run = latest.no
                AND resumed.seq > latest.expanded_seq
                AND resumed.kind IN ('run.failed', 'run.resumed')
                AND resumed.kind = 'run.resumed'
                AND named.value = latest.step
        ) AS is_expanded,
        -- Its step has got other items since.
        latest.item IS NOT NULL AND EXISTS (
            SELECT 1
            FROM log AS resumed, json_each(resumed.data, '$.changed') AS named
            WHERE resumed.run = latest.no
                AND resumed.seq > latest.last_seq
                AND resumed.kind IN ('run.failed', 'run.resumed')
                AND resumed.kind = 'run.resumed'
                AND named.value = latest.step
        ) AS is_dropped,
        (
            SELECT substr(undoing.kind, 14)
            FROM log AS undoing
            WHERE undoing.run = latest.no AND undoing.step = latest.step AND undoing.item IS latest.item
                AND undoing.kind IN ('compensation.started', 'compensation.completed', 'compensation.failed')
            ORDER BY undoing.seq DESC
            LIMIT 1
        ) AS compensation
    FROM (
        -- Grouped by the text of the id, so that `WHERE run = '...'` reaches the index and reads one run only.
        SELECT
            runs.id AS id,
            runs.no AS no,
            log.step AS step,
            log.item AS item,
            max(log.seq) AS last_seq,
            max(CASE log.kind WHEN 'step.expanded' THEN log.seq END) AS expanded_seq,
            max(CASE log.kind WHEN 'step.expanded' THEN json_extract(log.data, '$.count') END) AS item_count,
            min(
                CASE WHEN log.kind IN ('step.started', 'timer.set', 'child.started', 'step.expanded') THEN log.at END
            ) AS started_at,
            sum(log.kind = 'step.started') AS attempts
        FROM runs
        JOIN log ON log.run = runs.no
        WHERE log.step IS NOT NULL AND log.kind NOT IN (
            'step.heartbeat', 'compensation.started', 'compensation.completed', 'compensation.failed'
        )
        GROUP BY runs.id, log.step, log.item
    ) AS latest
    JOIN log AS last ON last.run = latest.no AND last.seq = latest.last_seq
);

-- As before, but for these: a step may wait, for a time, a signal, another run, or its items; and the items have a view of
-- their own, below. The output of a step that runs once per item is not here, but there.
DROP VIEW steps;

CREATE VIEW steps AS
SELECT
    run,
    step,
    status,
    attempts,
    strftime('%Y-%m-%d %H:%M:%fZ', started_at, 'unixepoch') AS started_at,
    CASE WHEN has_ended THEN strftime('%Y-%m-%d %H:%M:%fZ', at, 'unixepoch') END AS ended_at,
    CASE WHEN has_ended THEN round(at - started_at, 3) END AS duration,
    CASE WHEN has_ended AND kind = 'step.completed' THEN nullif(data, '@items') END AS output,
    -- The name of the class without its module, and the first line of the message.
    substr(error_type, 1 + length(rtrim(error_type, replace(error_type, '.', ''))))
        || coalesce(': ' || nullif(substr(message, 1, instr(message || char(10), char(10)) - 1), ''), '') AS error,
    CASE WHEN has_ended AND kind IN ('step.skipped', 'step.cancelled') THEN json_extract(data, '$.reason') END
        AS reason,
    compensation
FROM step_states
WHERE item IS NULL;

-- One row for each item of the steps that have several, as far as anything has happened to it.
CREATE VIEW items AS
SELECT
    run,
    step,
    item,
    status,
    attempts,
    strftime('%Y-%m-%d %H:%M:%fZ', started_at, 'unixepoch') AS started_at,
    CASE WHEN has_ended THEN strftime('%Y-%m-%d %H:%M:%fZ', at, 'unixepoch') END AS ended_at,
    CASE WHEN has_ended THEN round(at - started_at, 3) END AS duration,
    CASE WHEN has_ended AND kind = 'step.completed' THEN data END AS output,
    substr(error_type, 1 + length(rtrim(error_type, replace(error_type, '.', ''))))
        || coalesce(': ' || nullif(substr(message, 1, instr(message || char(10), char(10)) - 1), ''), '') AS error,
    CASE WHEN has_ended AND kind IN ('step.skipped', 'step.cancelled') THEN json_extract(data, '$.reason') END
        AS reason,
    compensation
FROM step_states
WHERE item IS NOT NULL AND NOT is_dropped;

-- Schedules, a row each. A change replaces the row: the new one has a revision that none ever had, by which whoever
-- read the old one sees that it has changed. `inputs` and `asked` are JSON objects; instants are epoch seconds.

CREATE TABLE schedules (
    revision INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    version TEXT NOT NULL,
    entrypoint TEXT NOT NULL,
    inputs TEXT NOT NULL,
    cron TEXT NOT NULL,
    tz TEXT NOT NULL,
    overlap TEXT NOT NULL,
    catchup REAL, -- seconds
    jitter REAL NOT NULL, -- seconds
    created_at REAL NOT NULL,
    next_at REAL NOT NULL,
    phase TEXT NOT NULL,
    is_paused INTEGER NOT NULL,
    last_at REAL,
    last_run TEXT NOT NULL, -- the id of the run that was begun last by the clock, or empty
    skipped_at REAL,
    skipped TEXT NOT NULL,
    asked TEXT NOT NULL -- the id of a run that somebody asked for -> when
);

-- The limits of steps. `name` is that of a limit, as JSON: its kind, its name, and the key or run that it is for.

-- The places that attempts hold, of limits that bound how many run at once. They count while the lease of their owner
-- lasts. `item` is -1 of a step that does not run per item. `taken_at` is in epoch seconds, for people.
CREATE TABLE slots (
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    item INTEGER NOT NULL,
    compensates INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    taken_at REAL NOT NULL,
    PRIMARY KEY (name, owner, run, step, item, compensates)
) WITHOUT ROWID;

-- Who waits for such a place: since when, and how long that counts, by the clock of `owners.renewed_at`. Who has waited
-- for long goes before those that came later.
CREATE TABLE turns (
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    since REAL NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (name, owner)
) WITHOUT ROWID;

-- Of limits that bound how many begin per time: when as many may begin at once as the rate allows, by the clock of
-- `owners.renewed_at`. One that is not here, or of which that instant has passed, is so now.
CREATE TABLE rates (
    name TEXT PRIMARY KEY,
    full_at REAL NOT NULL
) WITHOUT ROWID;

-- Outputs that are kept for other runs: see Cache. `run` is the id of the run that computed it, which may be gone.
-- Instants are epoch seconds; without `expires_at` it is given for ever.

CREATE TABLE cache (
    key TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL,
    output TEXT NOT NULL
);

CREATE INDEX cache_by_expiry ON cache (expires_at) WHERE expires_at IS NOT NULL;
