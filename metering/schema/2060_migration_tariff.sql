-- What the second object of a move between clouds occupies is metered under a tariff of its own (catalog/tariff.h): free, and shown
-- with what it would have cost.
ALTER TABLE usage_interval DROP CONSTRAINT usage_interval_tariff_check1,
    ADD CONSTRAINT usage_interval_tariff CHECK (tariff IN ('standard', 'expansion', 'migration'));
ALTER TABLE bill_line DROP CONSTRAINT bill_line_tariff,
    ADD CONSTRAINT bill_line_tariff CHECK (CASE tariff
        WHEN 'standard' THEN amount_fen = list_fen
        WHEN 'expansion' THEN amount_fen = 0
        WHEN 'allowance' THEN amount_fen = 0
        WHEN 'migration' THEN amount_fen = 0
        ELSE false END);
