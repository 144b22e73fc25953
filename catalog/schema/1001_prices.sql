-- Providers, what they bid, and the price books that approval makes of bids. Small reference tables; only bids are
-- under row-level security (an offer is its provider's affair until approved), prices are for everybody to compare.
CREATE TABLE provider (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$' AND length(id) <= 63),
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    contact text CHECK (length(contact) <= 1000),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- Agreement settings by name, in force from valid_from until the next row of the provider: always a month's start in
-- Asia/Shanghai, the first row's excepted, which is before all time.
CREATE TABLE agreement (
    provider_id text NOT NULL REFERENCES provider,
    valid_from timestamptz NOT NULL,
    settings jsonb NOT NULL CHECK (jsonb_typeof(settings) = 'object'),
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (provider_id, valid_from)
);

CREATE TABLE bid (
    id text PRIMARY KEY,
    provider_id text NOT NULL REFERENCES provider,
    state text NOT NULL DEFAULT 'submitted' CHECK (state IN ('submitted', 'approved')),
    prices jsonb NOT NULL, -- {"1001": "14.02", …}, all 23, checked by bid.c
    weighted_total bigint NOT NULL CHECK (weighted_total BETWEEN 1 AND 790430), -- 1/10000 yuan
    note text,
    submitted_by text NOT NULL,
    submitted_at timestamptz NOT NULL,
    approved_by text,
    approved_at timestamptz,
    CHECK ((state = 'approved') = (approved_at IS NOT NULL))
);
CREATE INDEX bid_by_provider ON bid (provider_id, id);

CREATE TABLE price_book (
    id text PRIMARY KEY,
    provider_id text NOT NULL REFERENCES provider,
    bid_id text NOT NULL UNIQUE REFERENCES bid,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL CHECK (valid_to > valid_from),
    approved_by text NOT NULL,
    approved_at timestamptz NOT NULL,
    CONSTRAINT price_book_overlap EXCLUDE USING gist (provider_id WITH =, tstzrange(valid_from, valid_to) WITH &&)
);

-- One row per book and item; the period repeats the book's so that rating reads one table.
CREATE TABLE price (
    provider_id text NOT NULL REFERENCES provider,
    item text NOT NULL CHECK (item ~ '^10[0-2][0-9]$'),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL CHECK (valid_to > valid_from),
    fen bigint NOT NULL CHECK (fen > 0 AND fen <= 100000000000),
    book_id text NOT NULL REFERENCES price_book,
    PRIMARY KEY (provider_id, item, valid_from),
    CONSTRAINT price_overlap EXCLUDE USING gist (provider_id WITH =, item WITH =, tstzrange(valid_from, valid_to) WITH &&)
);

SELECT scope_enable('bid', NULL, NULL, NULL, 'provider_id');

GRANT SELECT, INSERT ON provider, agreement, bid, price_book, price TO yunqiao_app;
GRANT UPDATE (name, contact, version, updated_at) ON provider TO yunqiao_app;
GRANT UPDATE (settings, changed_at) ON agreement TO yunqiao_app;
GRANT UPDATE (state, approved_by, approved_at) ON bid TO yunqiao_app;
GRANT UPDATE (valid_to) ON price_book, price TO yunqiao_app;
