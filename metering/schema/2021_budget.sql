-- Budgets of units and systems, and which of their thresholds were reached in which period.
CREATE TABLE budget (
    unit_id text NOT NULL,
    id text NOT NULL,
    system_id text, -- NULL: the whole unit
    period text NOT NULL CHECK (period IN ('month', 'year')),
    amount_fen bigint NOT NULL CHECK (amount_fen > 0),
    thresholds jsonb NOT NULL CHECK (jsonb_typeof(thresholds) = 'array'), -- per cent, rising
    version bigint NOT NULL DEFAULT 1,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (unit_id, id)
);
CREATE INDEX budget_by_id ON budget (id);

CREATE TABLE budget_alert (
    unit_id text NOT NULL,
    budget_id text NOT NULL,
    system_id text,
    period text NOT NULL CHECK (period ~ '^[0-9]{4}(-(0[1-9]|1[0-2]))?$'),
    threshold bigint NOT NULL,
    spent_fen bigint NOT NULL,
    amount_fen bigint NOT NULL,
    raised_at timestamptz NOT NULL,
    PRIMARY KEY (unit_id, budget_id, period, threshold),
    FOREIGN KEY (unit_id, budget_id) REFERENCES budget ON DELETE CASCADE
);

SELECT scope_enable('budget', 'unit_id', 'system_id', NULL, NULL);
SELECT scope_enable('budget_alert', 'unit_id', 'system_id', NULL, NULL);
GRANT SELECT, INSERT, DELETE, UPDATE (amount_fen, thresholds, version, updated_at) ON budget TO yunqiao_app;
GRANT SELECT, INSERT ON budget_alert TO yunqiao_app;
