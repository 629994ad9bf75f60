-- SPDX-License-Identifier: Apache-2.0
-- The audit log in PostgreSQL (13 or newer). Run as one transaction: see docs/audit.md.

CREATE TABLE audit_log_migrations (
	version integer PRIMARY KEY,
	name text NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now()
);

-- The first nine columns are the event. The others repeat what reports add up, so that they need not take JSON apart:
-- NULL where an event has no such thing.
CREATE TABLE audit_log (
	id uuid PRIMARY KEY,              -- version 7: sorts by time
	timestamp timestamptz NOT NULL,
	event_type text NOT NULL,
	user_id text NOT NULL,            -- login uid, or the workload with its namespace
	session_id text NOT NULL,         -- the run of the agent
	ip_address text NOT NULL,         -- text: empty where there is none
	details jsonb NOT NULL,
	outcome text NOT NULL,
	outcome_details text NOT NULL,

	destination text,                 -- details.destination
	episode text,                     -- details.episode
	amount bigint,                    -- denials: sum of details.causes; failures: sum of details.outcomes
	at_breaker bigint,                -- denials: those of amount that an open breaker refused
	would bigint,                     -- denials: sum of details.would
	ok bigint,                        -- failures: details.ok
	used bigint,                      -- failures: details.destinations
	failing bigint                    -- failures: details.failing
);

CREATE INDEX audit_log_time ON audit_log (timestamp);
CREATE INDEX audit_log_user ON audit_log (user_id, timestamp);
CREATE INDEX audit_log_episode ON audit_log (episode, timestamp) WHERE episode IS NOT NULL;

-- With what is added up by destination and workload, so that the table need not be read.
CREATE INDEX audit_log_type ON audit_log (event_type, timestamp)
	INCLUDE (destination, user_id, amount, at_breaker, would, ok, used, failing);

INSERT INTO audit_log_migrations (version, name) VALUES (1, 'audit_log');
