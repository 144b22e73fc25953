-- Of a wave that touches his cloud somebody who is bound to clouds or providers sees the machines that are or go there, not all others.
ALTER POLICY scope ON wave_host
    USING (EXISTS (SELECT FROM wave w WHERE w.unit_id = wave_host.unit_id AND w.id = wave_host.wave_id)
        AND ((SELECT coalesce(current_setting('yunqiao.all', true), '') = 'on')
            OR unit_id = ANY ((SELECT scope_list('units'))::text[])
            OR EXISTS (SELECT FROM resource r WHERE r.unit_id = wave_host.unit_id AND r.id = wave_host.resource_id)
            OR EXISTS (SELECT FROM migration m WHERE m.unit_id = wave_host.unit_id AND m.id = wave_host.migration_id)));
