-- A scratch database full of usage and of closed bills, for the metering benchmarks: U units × S systems × R resources × C changes a
-- month, made by set-based SQL instead of by orders and closings. For psql, as the owner of a migrated database that has no usage:
--
--   psql -v units=2000 -v systems=1 -v resources=69 -v changes=1 -v months=12 -v first=2025-01 -v usage=0 -v bills=1 -f ledger.sql
--
-- Three clouds (cloud-1 … 3: service, health, education) of three providers (provider-1 … 3, at the caps, 3 % and 6 % below). Units are
-- u000001 … and have systems u000001001 …; resource r of a system uses one item on one cloud: the items in turn on the first cloud, then
-- on the second, so that 69 resources are every item on every cloud once. A change makes the quantity another whole number from then on,
-- at equal distances within the month. usage=1: the intervals, ended at their months' ends. bills=1: one bill a unit, provider and month
-- with the lines that rating gives for exact proration (tests/metering holds rating to the same rule), each month closed. Digests are
-- zeros: such bills do not verify. Triggers are off, so nothing that a closing would do by trigger is done but statement_fill.
\set ON_ERROR_STOP on
\set QUIET on
SET session_replication_role = replica;
SET synchronous_commit = off;
SET timezone = 'UTC';
SELECT set_config('yunqiao.all', 'on', false) \gset ignored_
-- A broker that has just started makes the partitions of this month and three more, under locks that the ANALYZE below would meet in the
-- other order. Whoever is second here finds them made and locks nothing.
SELECT billing_partition_make(to_char(date_trunc('month', timezone('Asia/Shanghai', now())) + make_interval(months => n), 'YYYY-MM'))
    FROM generate_series(0, 3) n \g /dev/null

CREATE TEMP TABLE gen_month AS
    SELECT to_char(day, 'YYYY-MM') AS month, timezone('Asia/Shanghai', day) AS start_at,
        timezone('Asia/Shanghai', day + interval '1 month') AS end_at, n
    FROM (SELECT (:'first' || '-01')::timestamp + make_interval(months => n) AS day, n FROM generate_series(0, :months - 1) n) d;
CREATE TEMP TABLE gen_catalog (item text, class text, subclass text, name text, quantity int, unit text, price_unit text,
    cap_yuan numeric, weight int, note text, name_en text);
\copy gen_catalog FROM 'catalog/data/catalog_priced.csv' WITH (FORMAT csv, HEADER)
CREATE TEMP TABLE gen_cloud AS
    SELECT c, 'cloud-' || c AS cloud, 'provider-' || c AS provider, (ARRAY['service', 'health', 'education'])[c] AS industry
    FROM generate_series(1, 3) c;
CREATE TEMP TABLE gen_price AS
    SELECT c, provider, item, (cap_yuan * (103 - 3 * c))::bigint AS fen FROM gen_cloud, gen_catalog;

INSERT INTO provider (id, name, created_at, updated_at) SELECT provider, provider, now(), now() FROM gen_cloud;
INSERT INTO agreement (provider_id, valid_from, settings, changed_at) SELECT provider, '1992-01-01', '{}', now() FROM gen_cloud;
INSERT INTO cloud (id, name, kind, provider_id, created_at, updated_at) SELECT cloud, cloud, industry, provider, now(), now() FROM gen_cloud;
INSERT INTO bid (id, provider_id, state, prices, weighted_total, submitted_by, submitted_at, approved_by, approved_at)
    SELECT gen_random_uuid(), provider, 'approved', '{}', 1, 'bench', now(), 'bench', now() FROM gen_cloud;
INSERT INTO price_book (id, provider_id, bid_id, valid_from, valid_to, approved_by, approved_at)
    SELECT gen_random_uuid(), provider_id, id, '2020-01-01', '2040-01-01', 'bench', now() FROM bid;
INSERT INTO price (provider_id, item, valid_from, valid_to, fen, book_id)
    SELECT provider, item, '2020-01-01', '2040-01-01', fen, b.id FROM gen_price JOIN price_book b ON b.provider_id = provider;

-- One row for each resource; an account of 1019 never changes, so that what is free of a system's accounts is one of them all the time.
CREATE TEMP TABLE gen_resource AS
    SELECT u, s, r, 'u' || lpad(u::text, 6, '0') AS unit, 'u' || lpad(u::text, 6, '0') || lpad(s::text, 3, '0') AS system,
        lpad(u::text, 8, '0') || '-' || lpad(s::text, 4, '0') || '-4000-8000-' || lpad(r::text, 12, '0') AS resource,
        item, cloud, provider, industry, fen, CASE item WHEN '1019' THEN '' ELSE 'internet' END AS zone,
        CASE item WHEN '1019' THEN '' ELSE (ARRAY['x86', 'arm', 'c86'])[1 + s % 3] END AS architecture
    FROM generate_series(1, :units) u, generate_series(1, :systems) s, generate_series(1, :resources) r
    JOIN gen_price ON item = (1001 + (r - 1) % 23)::text AND c = (r - 1) / 23 % 3 + 1 JOIN gen_cloud USING (c, provider);
ANALYZE gen_resource;

-- What each resource uses in each part of each month.
CREATE TEMP VIEW gen_interval AS
    SELECT g.*, m.month, m.start_at + (m.end_at - m.start_at) * k / :changes AS from_at,
        m.start_at + (m.end_at - m.start_at) * (k + 1) / :changes AS to_at, m.start_at, m.end_at,
        CASE item WHEN '1019' THEN 1000000 ELSE (1 + (u * 7 + s * 3 + r * 5 + m.n * 11 + k * 13) % 16) * 1000000 END AS micro
    FROM gen_month m, gen_resource g, generate_series(0, :changes - 1) k;

SELECT :usage = 1 AS want_usage, :bills = 1 AS want_bills \gset
\if :want_usage
INSERT INTO usage_interval (unit_id, system_id, cloud_id, provider_id, resource_id, kind, item, micro, start_at, end_at, tariff, industry,
        zone_id, architecture)
    SELECT unit, system, cloud, provider, resource, 'instance', item, micro, from_at, to_at, 'standard', industry, zone, architecture
    FROM gen_interval;
\endif
\if :want_bills
INSERT INTO billing_month (month, state, closed_at, digest) SELECT month, 'closed', end_at, repeat('0', 64) FROM gen_month;
CREATE TEMP TABLE gen_line AS
    WITH used AS (
        SELECT month, start_at, end_at, unit, provider, cloud, system, item, zone, architecture, industry, fen, count(DISTINCT r) AS accounts,
            sum(micro::numeric * (extract(epoch FROM to_at - from_at) * 1000000)::bigint) AS usage
        FROM gen_interval GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
    tariffed AS ( -- of n accounts one is free
        SELECT *, 'standard' AS tariff FROM used WHERE item <> '1019'
        UNION ALL SELECT month, start_at, end_at, unit, provider, cloud, system, item, zone, architecture, industry, fen, accounts,
            usage * (accounts - 1) / accounts, 'standard' FROM used WHERE item = '1019' AND accounts > 1
        UNION ALL SELECT month, start_at, end_at, unit, provider, cloud, system, item, zone, architecture, industry, fen, accounts,
            usage / accounts, 'allowance' FROM used WHERE item = '1019')
    SELECT *, floor(fen * usage / (1000000 * (extract(epoch FROM end_at - start_at) * 1000000)::bigint) + 0.5)::bigint AS list_fen,
        row_number() OVER (PARTITION BY month, unit, provider ORDER BY cloud, system, item, zone, architecture, tariff) AS line_no
    FROM tariffed;
INSERT INTO bill (unit_id, id, number, provider_id, month, charges_fen, adjustments_fen, total_fen, line_count, digest, closed_at,
        digest_version)
    SELECT unit, gen_random_uuid(), 'YQ' || replace(month, '-', '') || '.' || provider || '.' || unit, provider, month, total, 0, total, lines,
        repeat('0', 64), end_at, 2
    FROM (SELECT unit, provider, month, end_at, count(*) AS lines, sum(CASE tariff WHEN 'standard' THEN list_fen ELSE 0 END)::bigint AS total
          FROM gen_line GROUP BY 1, 2, 3, 4) b;
INSERT INTO bill_line (unit_id, bill_id, line_no, month, type, charge_month, provider_id, cloud_id, system_id, item, price_fen, price_from,
        price_to, usage, amount_fen, tariff, industry, zone_id, architecture, list_fen)
    SELECT unit, b.id, line_no, l.month, 'charge', l.month, provider, cloud, system, item, fen, start_at, end_at, usage,
        CASE tariff WHEN 'standard' THEN list_fen ELSE 0 END, tariff, industry, zone, architecture, list_fen
    FROM gen_line l JOIN bill b ON b.unit_id = l.unit AND b.provider_id = l.provider AND b.month = l.month;
UPDATE billing_month m SET bills = b.bills, lines = b.lines, total_fen = b.total
    FROM (SELECT month, count(*) AS bills, sum(line_count)::bigint AS lines, sum(total_fen)::bigint AS total FROM bill GROUP BY 1) b
    WHERE b.month = m.month;
SELECT statement_fill(month) FROM gen_month \g /dev/null
\endif
RESET session_replication_role;
ANALYZE;
