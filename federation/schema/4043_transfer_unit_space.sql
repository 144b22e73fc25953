-- What a unit's exports and imports but one take, those of systems too that whoever asks does not see.
CREATE FUNCTION transfer_space_of_unit(own_unit text, own uuid) RETURNS bigint
    LANGUAGE plpgsql STABLE SET "yunqiao.all" = 'on' AS $$
BEGIN
    RETURN (SELECT coalesce(sum(bytes), 0)::bigint FROM transfer WHERE ended_at IS NULL AND unit_id = own_unit AND id <> own);
END $$;
