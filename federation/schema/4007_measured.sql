-- What a cut-over measured of the machine itself, for the prediction of its next one.
ALTER TABLE migration
    ADD COLUMN stop_us  bigint CHECK (stop_us >= 0),  -- from the word to shut down until it was off
    ADD COLUMN start_us bigint CHECK (start_us >= 0); -- from its start on the target until it was found well
