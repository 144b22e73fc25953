-- The bill right behind the unit in the lines' key: the month, which is one for all lines of a partition, was compared in every step of
-- every insertion. A unit's lines come by bill (ids are made in the order of time), then number.
ALTER TABLE bill_line DROP CONSTRAINT bill_line_pkey;
ALTER TABLE bill_line ADD PRIMARY KEY (unit_id, bill_id, line_no, month);

-- A closing's lines are too new for statistics: the planner took them for a handful, and sorted all of them on the disk.
ALTER FUNCTION statement_fill SET enable_sort = off;
ALTER FUNCTION statement_fill SET enable_indexscan = off;
ALTER FUNCTION statement_fill SET enable_bitmapscan = off;
ALTER FUNCTION statement_fill SET work_mem = '64MB';
