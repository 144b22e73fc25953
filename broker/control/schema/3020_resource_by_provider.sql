-- For the walk over a provider's metered resources (broker/control/remeter.h).
CREATE INDEX resource_by_provider ON resource (provider_id, id) WHERE state IN ('active', 'deleting');
