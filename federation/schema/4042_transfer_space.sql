-- What all exports and imports but one take of the broker's space, whosever they are: the limit is of all units together.
CREATE FUNCTION transfer_space_of_others(own_unit text, own uuid) RETURNS bigint
    LANGUAGE plpgsql STABLE SET "yunqiao.all" = 'on' AS $$
BEGIN
    RETURN (SELECT coalesce(sum(bytes), 0)::bigint FROM transfer WHERE ended_at IS NULL AND NOT (unit_id = own_unit AND id = own));
END $$;
