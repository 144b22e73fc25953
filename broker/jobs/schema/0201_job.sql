-- Durable work; see broker/jobs/job.h. A local table even where others are distributed: it is the queue of all brokers, and what has
-- ended is removed after 30 days.
CREATE TABLE job (
    id         uuid PRIMARY KEY,
    type       text NOT NULL,
    unit_id    text,                               -- NULL: the broker's own work
    key        text,                               -- at most one unfinished job with it
    args       jsonb NOT NULL,
    saved      jsonb NOT NULL DEFAULT '{}',        -- struct job's state
    state      text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'parked', 'done', 'failed', 'cancelled')),
    cancel     boolean NOT NULL DEFAULT false,     -- somebody asked to stop
    undoing    boolean NOT NULL DEFAULT false,     -- going back: step is the one to take back
    step       text,                               -- where it is, for people; NULL: not begun, or nothing left to take back
    step_no    integer NOT NULL DEFAULT 0,
    begun      boolean NOT NULL DEFAULT false,     -- that step may have had an effect
    attempts   integer NOT NULL DEFAULT 0,         -- failed tries of that step
    losses     integer NOT NULL DEFAULT 0,         -- brokers that died or stalled in that step
    fence      bigint NOT NULL DEFAULT 0,          -- grows with every lease; every write checks it
    run_at     timestamptz NOT NULL,               -- queued: not before; running: when the lease ends
    leased_by  text,                               -- host and process, for people
    error_code text,                               -- of last_error
    last_error text,
    cause_code text,                               -- why it goes back: what it will end with
    cause      text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz
);
-- Leasing looks only at work that can run: ended rows are in neither index.
CREATE INDEX job_runnable ON job (run_at) WHERE state IN ('queued', 'running');
CREATE UNIQUE INDEX job_by_key ON job (key) WHERE key IS NOT NULL AND state IN ('queued', 'running', 'parked');
CREATE INDEX job_parked ON job (run_at, id) WHERE state = 'parked';
CREATE INDEX job_ended ON job (ended_at) WHERE ended_at IS NOT NULL;

-- Frequent updates of few live rows: vacuum them early.
ALTER TABLE job SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

-- A unit sees its jobs; whoever may do a thing may leave work behind, also work of the broker's own.
SELECT scope_enable('job', 'unit_id', NULL, NULL, NULL);
CREATE POLICY job_insert ON job FOR INSERT WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON job TO yunqiao_app;
