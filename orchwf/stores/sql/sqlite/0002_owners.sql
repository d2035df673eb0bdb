-- Leases: who lives. `renewed_at` is in seconds since the machine was started, as no one can set that clock; `seen_at` in
-- epoch seconds, for people. An owner of a run without a row here has no lease.

CREATE TABLE owners (
    id TEXT PRIMARY KEY,
    renewed_at REAL NOT NULL,
    lease REAL NOT NULL,
    seen_at REAL NOT NULL
) WITHOUT ROWID;

CREATE INDEX runs_by_status_and_owner ON runs (status, owner);

-- Of a compensation there are few events: the view below asks for them by the step.
CREATE INDEX log_compensations ON log (run, step, seq)
WHERE kind IN ('compensation.started', 'compensation.completed', 'compensation.failed');

-- As before, but for these: heartbeats and compensations are no steps, somebody may have said that a step is to run
-- again, and the last column says what became of undoing it: started, completed or failed, or nothing.
-- A step is where the last event about it left it, or the resume after that. started_at is that of its first attempt,
-- duration is in seconds from there to the end, waits included; a step that has not ended has neither end nor duration.
DROP VIEW steps;

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
    CASE WHEN kind IN ('step.skipped', 'step.cancelled') THEN json_extract(data, '$.reason') END AS reason,
    compensation
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
                    -- It waited for somebody to resume the run.
                    WHEN 'step.retrying' THEN json_extract(resumed.data, '$.reason') = 'retry'
                        AND json_extract(last.data, '$.due_at') IS NULL
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
        ) OR EXISTS (
            -- It was said to run again, whatever its end was.
            SELECT 1
            FROM log AS resumed, json_each(resumed.data, '$.reset') AS named
            WHERE resumed.run = latest.no
                AND resumed.seq > latest.last_seq
                AND resumed.kind IN ('run.failed', 'run.resumed')
                AND resumed.kind = 'run.resumed'
                AND named.value = latest.step
        ) AS is_undone,
        (
            SELECT substr(undoing.kind, 14)
            FROM log AS undoing
            WHERE undoing.run = latest.no AND undoing.step = latest.step AND undoing.kind IN (
                'compensation.started', 'compensation.completed', 'compensation.failed'
            )
            ORDER BY undoing.seq DESC
            LIMIT 1
        ) AS compensation
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
        WHERE log.step IS NOT NULL AND log.kind NOT IN (
            'step.heartbeat', 'compensation.started', 'compensation.completed', 'compensation.failed'
        )
        GROUP BY runs.id, log.step
    ) AS latest
    JOIN log AS last ON last.run = latest.no AND last.seq = latest.last_seq
);
