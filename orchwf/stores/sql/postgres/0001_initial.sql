-- The first schema. For people: the table `runs` and the views `events`, `steps` and `items`. Instants are epoch seconds in
-- the tables.
-- Everything stands in one namespace of its own, which is the only one in the search path while this is run.

-- The clock of leases: that of the server, which all processes have in common.
CREATE FUNCTION lease_clock() RETURNS double precision LANGUAGE sql VOLATILE
AS 'SELECT extract(epoch FROM clock_timestamp())::double precision';

CREATE SEQUENCE run_numbers;

-- Texts are ordered by code points, whatever the language of the database.
CREATE TABLE runs (
    no BIGINT PRIMARY KEY, -- the order of creation; never given twice
    created_at DOUBLE PRECISION NOT NULL CHECK (created_at < 'Infinity'),
    ended_at DOUBLE PRECISION,
    wake_at DOUBLE PRECISION, -- when it goes on, if nobody executes it meanwhile; infinity if only a message wakes it
    slept_at DOUBLE PRECISION, -- since when
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    workflow TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    entrypoint TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C",
    error TEXT COLLATE "C" NOT NULL,
    metadata TEXT COLLATE "C" NOT NULL, -- JSON, as are the tags
    tags TEXT COLLATE "C" NOT NULL
);

CREATE INDEX runs_by_workflow ON runs (workflow, no);
CREATE INDEX runs_by_status ON runs (status, no);
CREATE INDEX runs_by_creation ON runs (created_at);
CREATE INDEX runs_asleep ON runs (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX runs_asleep_of_workflow ON runs (workflow, wake_at, no) WHERE wake_at IS NOT NULL;
CREATE INDEX runs_asleep_since ON runs (slept_at) WHERE slept_at IS NOT NULL;

-- Whose runs are at work: of those that have ended nobody is the owner.
CREATE INDEX runs_owned ON runs (owner) WHERE owner IS NOT NULL;

-- Which runs wait for somebody to take them. Those that sleep are many, and wait for something else.
CREATE INDEX runs_free ON runs (workflow, no) WHERE owner IS NULL AND status = 'running' AND wake_at IS NULL;

-- The tags of `runs` once more, to search by.
CREATE TABLE run_tags (
    run BIGINT NOT NULL REFERENCES runs (no),
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (key, value, run)
);

CREATE INDEX run_tags_by_run ON run_tags (run);

-- The truth: everything else is a view of it. `data` is JSON, kept as the text that was written; of step.completed it is
-- the output. Without a foreign key, which would be looked up for each event: who appends holds a lock on the run.
CREATE TABLE log (
    run BIGINT NOT NULL,
    at DOUBLE PRECISION NOT NULL CHECK (at < 'Infinity'),
    seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    item INTEGER, -- which of several results of a step it is about, counted from 0
    kind TEXT COLLATE "C" NOT NULL,
    step TEXT COLLATE "C",
    data TEXT COLLATE "C",
    PRIMARY KEY (run, seq) -- two owners of one run collide here
);

-- The few runs of which anything was undone.
CREATE INDEX log_compensations ON log (run)
WHERE kind IN ('compensation.started', 'compensation.completed', 'compensation.failed');

CREATE INDEX log_ends ON log (run, seq) WHERE kind IN ('run.failed', 'run.cancelled');

CREATE TABLE definitions (
    fingerprint TEXT COLLATE "C" PRIMARY KEY,
    data TEXT COLLATE "C" NOT NULL
);

-- Which runs were started or resumed with which definition: a definition goes with the last of them.
CREATE TABLE run_definitions (
    run BIGINT NOT NULL REFERENCES runs (no),
    fingerprint TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run, fingerprint)
);

CREATE INDEX run_definitions_by_fingerprint ON run_definitions (fingerprint);

-- Messages stay when they are folded into the log, so that a second delivery is recognised.
CREATE TABLE inbox (
    no BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run BIGINT NOT NULL REFERENCES runs (no),
    folded BOOLEAN NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    signal TEXT COLLATE "C" NOT NULL,
    payload TEXT COLLATE "C" NOT NULL,
    UNIQUE (run, id)
);

CREATE INDEX inbox_waiting ON inbox (run, no) WHERE NOT folded;

-- The runs of which somebody wants to be told when they rest. Without a foreign key, which would lock the run.
CREATE TABLE watches (run BIGINT PRIMARY KEY);

-- Leases, by `lease_clock`. `seen_at` is for people.
CREATE TABLE owners (
    id TEXT COLLATE "C" PRIMARY KEY,
    renewed_at DOUBLE PRECISION NOT NULL,
    lease DOUBLE PRECISION NOT NULL, -- seconds
    seen_at TIMESTAMPTZ NOT NULL
);

-- A clock that was set back shows a renewal in the future: a little is no matter, as after a failover to another server.
CREATE VIEW living AS SELECT id FROM owners WHERE abs(lease_clock() - renewed_at) <= lease;

-- Schedules, a row each. Each change gives it a revision that none ever had, by which whoever read it before sees that it
-- has changed. `inputs` and `asked` are JSON objects; instants are epoch seconds.
CREATE SEQUENCE revisions;

CREATE TABLE schedules (
    revision BIGINT NOT NULL,
    name TEXT COLLATE "C" PRIMARY KEY,
    workflow TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    entrypoint TEXT COLLATE "C" NOT NULL,
    inputs TEXT COLLATE "C" NOT NULL,
    cron TEXT COLLATE "C" NOT NULL,
    tz TEXT COLLATE "C" NOT NULL,
    overlap TEXT COLLATE "C" NOT NULL,
    catchup DOUBLE PRECISION, -- seconds
    jitter DOUBLE PRECISION NOT NULL, -- seconds
    created_at DOUBLE PRECISION NOT NULL,
    next_at DOUBLE PRECISION NOT NULL,
    phase TEXT COLLATE "C" NOT NULL,
    is_paused BOOLEAN NOT NULL,
    last_at DOUBLE PRECISION,
    last_run TEXT COLLATE "C" NOT NULL, -- the id of the run that was begun last by the clock, or empty
    skipped_at DOUBLE PRECISION,
    skipped TEXT COLLATE "C" NOT NULL,
    asked TEXT COLLATE "C" NOT NULL -- the id of a run that somebody asked for -> when
);

-- The limits of steps. `name` is that of a limit, as JSON: its kind, its name, and the key or run that it is for.

-- The places that attempts hold, of limits that bound how many run at once. They count while the lease of their owner
-- lasts. `item` is -1 of a step that does not run per item. `taken_at` is for people.
CREATE TABLE slots (
    name TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    run TEXT COLLATE "C" NOT NULL,
    step TEXT COLLATE "C" NOT NULL,
    item INTEGER NOT NULL,
    compensates BOOLEAN NOT NULL,
    attempt INTEGER NOT NULL,
    taken_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (name, owner, run, step, item, compensates)
);

CREATE INDEX slots_by_owner ON slots (owner);

-- Who waits for such a place: since when, and how long that counts, by `lease_clock`. Who has waited for long goes
-- before those that came later.
CREATE TABLE turns (
    name TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    since DOUBLE PRECISION NOT NULL,
    until DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (name, owner)
);

-- Of limits that bound how many begin per time: when as many may begin at once as the rate allows, by `lease_clock`. One
-- that is not here, or of which that instant has passed, is so now.
CREATE TABLE rates (
    name TEXT COLLATE "C" PRIMARY KEY,
    full_at DOUBLE PRECISION NOT NULL
);

-- Outputs that are kept for other runs: see Cache. `run` is the id of the run that computed it, which may be gone.
-- Instants are epoch seconds; without `expires_at` it is given for ever.
CREATE TABLE cache (
    key TEXT COLLATE "C" PRIMARY KEY,
    run TEXT COLLATE "C" NOT NULL,
    step TEXT COLLATE "C" NOT NULL,
    created_at DOUBLE PRECISION NOT NULL CHECK (created_at < 'Infinity'),
    expires_at DOUBLE PRECISION,
    output TEXT COLLATE "C" NOT NULL
);

CREATE INDEX cache_by_expiry ON cache (expires_at) WHERE expires_at IS NOT NULL;

CREATE VIEW events AS
SELECT
    runs.id AS run,
    log.seq,
    to_timestamp(log.at) AS at,
    log.kind,
    log.step,
    nullif(log.attempt, 0) AS attempt,
    log.item,
    log.data
FROM log
JOIN runs ON runs.no = log.run;

-- What is at this place in some JSON, as text. A NUL, which an error may have, is shown with another sign: PostgreSQL cannot
-- have it in a text.
CREATE FUNCTION json_at(data TEXT, VARIADIC place TEXT []) RETURNS TEXT LANGUAGE sql STABLE
AS $$SELECT regexp_replace(data, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\u2400', 'g')::json #>> place$$;

-- The texts of the list of this name in some JSON; none if there is no such list.
CREATE FUNCTION json_list(data TEXT, name TEXT) RETURNS SETOF TEXT LANGUAGE sql STABLE
AS $$SELECT json_array_elements_text(json_at(data, name)::json)$$;

-- Where each step is, and each item of those that have several: where the last event about it left it, or the resume
-- after that. What `steps` and `items` below are made of.
CREATE VIEW step_states AS
SELECT
    *,
    CASE
        WHEN is_undone AND is_expanded THEN 'waiting'
        WHEN is_undone THEN 'pending'
        WHEN kind = 'step.started' THEN 'running'
        WHEN kind IN ('timer.set', 'timer.fired', 'child.started', 'step.expanded') THEN 'waiting'
        ELSE substr(kind, 6)
    END AS status,
    NOT is_undone AND kind IN ('step.completed', 'step.failed', 'step.skipped', 'step.cancelled') AS has_ended
FROM (
    SELECT
        latest.id AS run,
        latest.step,
        latest.item,
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
        latest.started_at,
        last.at,
        last.kind,
        last.data,
        CASE WHEN last.kind IN ('step.failed', 'step.retrying')
            THEN json_at(last.data, 'error', 'type_name')
        END AS error_type,
        CASE WHEN last.kind IN ('step.failed', 'step.retrying')
            THEN json_at(last.data, 'error', 'message')
        END AS message,
        EXISTS (
            SELECT 1
            FROM log AS resumed
            WHERE resumed.run = latest.no
                AND resumed.seq > latest.last_seq
                AND resumed.kind = 'run.resumed'
                AND CASE
                    -- The attempt died with the owner before.
                    WHEN last.kind = 'step.started' THEN true
                    WHEN json_at(resumed.data, 'reason') <> 'retry' THEN false
                    -- It waited for somebody to resume the run.
                    WHEN last.kind = 'step.retrying' THEN json_at(last.data, 'due_at') IS NULL
                    -- An item that did not go well, of a step that did not either.
                    WHEN latest.item IS NOT NULL THEN (
                        last.kind = 'step.failed' OR (
                            last.kind IN ('step.skipped', 'step.cancelled')
                            AND json_at(last.data, 'cause') IN ('failure', 'deadline')
                        )
                    ) AND (
                        EXISTS (
                            SELECT 1
                            FROM log AS failed
                            WHERE failed.run = latest.no
                                AND failed.seq BETWEEN latest.last_seq AND resumed.seq
                                AND failed.kind = 'run.failed'
                                AND latest.step IN (SELECT json_list(failed.data, 'steps'))
                        )
                        OR latest.step IN (SELECT json_list(resumed.data, 'reset'))
                        OR EXISTS (
                            SELECT 1
                            FROM log AS whole
                            WHERE whole.run = latest.no
                                AND whole.seq BETWEEN latest.last_seq AND resumed.seq
                                AND whole.step = latest.step
                                AND whole.item IS NULL
                                AND whole.kind IN ('step.skipped', 'step.cancelled')
                                AND json_at(whole.data, 'cause') IN ('failure', 'deadline')
                        )
                    )
                    -- The run failed for it, and somebody asked to try again.
                    WHEN last.kind = 'step.failed' THEN EXISTS (
                        SELECT 1
                        FROM log AS failed
                        WHERE failed.run = latest.no
                            AND failed.seq BETWEEN latest.last_seq AND resumed.seq
                            AND failed.kind = 'run.failed'
                            AND latest.step IN (SELECT json_list(failed.data, 'steps'))
                    )
                    -- It ended because the run failed.
                    WHEN last.kind IN ('step.skipped', 'step.cancelled')
                        THEN json_at(last.data, 'cause') IN ('failure', 'deadline')
                    ELSE false
                END
        ) OR (
            latest.item IS NULL AND EXISTS (
                -- It was said to run again, whatever its end was.
                SELECT 1
                FROM log AS resumed
                WHERE resumed.run = latest.no
                    AND resumed.seq > latest.last_seq
                    AND resumed.kind = 'run.resumed'
                    AND latest.step IN (SELECT json_list(resumed.data, 'reset'))
            )
        ) AS is_undone,
        -- It is known which items it has: then it waits for them again.
        latest.expanded_seq IS NOT NULL
        AND latest.item_count > 0
        AND NOT EXISTS (
            SELECT 1
            FROM log AS resumed
            WHERE resumed.run = latest.no
                AND resumed.seq > latest.expanded_seq
                AND resumed.kind = 'run.resumed'
                AND latest.step IN (SELECT json_list(resumed.data, 'changed'))
        ) AS is_expanded,
        -- Its step has got other items since.
        latest.item IS NOT NULL AND EXISTS (
            SELECT 1
            FROM log AS resumed
            WHERE resumed.run = latest.no
                AND resumed.seq > latest.last_seq
                AND resumed.kind = 'run.resumed'
                AND latest.step IN (SELECT json_list(resumed.data, 'changed'))
        ) AS is_dropped,
        (
            SELECT substr(undoing.kind, 14)
            FROM log AS undoing
            WHERE undoing.run = latest.no
                AND undoing.step = latest.step
                AND undoing.item IS NOT DISTINCT FROM latest.item
                AND undoing.kind IN ('compensation.started', 'compensation.completed', 'compensation.failed')
            ORDER BY undoing.seq DESC
            LIMIT 1
        ) AS compensation
    FROM (
        -- Grouped by the id, so that `WHERE run = '...'` reaches the index and reads one run only.
        SELECT
            runs.id,
            runs.no,
            log.step,
            log.item,
            max(log.seq) AS last_seq,
            max(CASE log.kind WHEN 'step.expanded' THEN log.seq END) AS expanded_seq,
            max(CASE log.kind WHEN 'step.expanded' THEN json_at(log.data, 'count')::bigint END) AS item_count,
            min(
                CASE WHEN log.kind IN ('step.started', 'timer.set', 'child.started', 'step.expanded') THEN log.at END
            ) AS started_at,
            count(*) FILTER (WHERE log.kind = 'step.started') AS attempts
        FROM runs
        JOIN log ON log.run = runs.no
        WHERE log.step IS NOT NULL AND log.kind NOT IN (
            'step.heartbeat', 'compensation.started', 'compensation.completed', 'compensation.failed'
        )
        GROUP BY runs.id, runs.no, log.step, log.item
    ) AS latest
    JOIN log AS last ON last.run = latest.no AND last.seq = latest.last_seq
) AS states;

-- One row for each step of each run, as far as anything has happened to it. The output of a step that runs once per item
-- is not here, but in `items`.
CREATE VIEW steps AS
SELECT
    run,
    step,
    status,
    attempts,
    to_timestamp(started_at) AS started_at,
    CASE WHEN has_ended THEN to_timestamp(at) END AS ended_at,
    CASE WHEN has_ended THEN round((at - started_at)::numeric, 3) END AS duration,
    CASE WHEN has_ended AND kind = 'step.completed' THEN nullif(data, '@items') END AS output,
    -- The name of the class without its module, and the first line of the message.
    regexp_replace(error_type, '^.*\.', '') || coalesce(': ' || nullif(split_part(message, E'\n', 1), ''), '') AS error,
    CASE WHEN has_ended AND kind IN ('step.skipped', 'step.cancelled') THEN json_at(data, 'reason') END AS reason,
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
    to_timestamp(started_at) AS started_at,
    CASE WHEN has_ended THEN to_timestamp(at) END AS ended_at,
    CASE WHEN has_ended THEN round((at - started_at)::numeric, 3) END AS duration,
    CASE WHEN has_ended AND kind = 'step.completed' THEN data END AS output,
    regexp_replace(error_type, '^.*\.', '') || coalesce(': ' || nullif(split_part(message, E'\n', 1), ''), '') AS error,
    CASE WHEN has_ended AND kind IN ('step.skipped', 'step.cancelled') THEN json_at(data, 'reason') END AS reason,
    compensation
FROM step_states
WHERE item IS NOT NULL AND NOT is_dropped;
