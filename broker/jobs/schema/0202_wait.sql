-- Jobs that wait for somebody: see job_wait and job_wake in broker/jobs/job.h.
ALTER TABLE job ADD COLUMN woken boolean NOT NULL DEFAULT false; -- since it was leased: what it waits for may have come

-- Whoever brings what a job waits for may not see the job, which belongs to a unit: waking it changes only when it looks again.
CREATE FUNCTION job_wake(target uuid) RETURNS void
    LANGUAGE plpgsql SET "yunqiao.all" = 'on' AS $$
BEGIN
    UPDATE job SET woken = true, run_at = CASE WHEN state = 'queued' THEN least(run_at, clock_timestamp()) ELSE run_at END
    WHERE id = target AND state IN ('queued', 'running', 'parked');
    PERFORM pg_notify('job_ready', '');
END $$;
