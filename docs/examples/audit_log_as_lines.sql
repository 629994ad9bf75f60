-- SPDX-License-Identifier: Apache-2.0
-- The audit log of PostgreSQL as lines of JSON, for 'ebb audit --from FILE' and 'ebb report --from FILE':
--
--	psql -XAtq -v ON_ERROR_STOP=1 -f audit_log_as_lines.sql >audit.jsonl
SELECT json_build_object(
	'id', id,
	'timestamp', to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
	'event_type', event_type,
	'user_id', user_id,
	'session_id', session_id,
	'ip_address', ip_address,
	'outcome', outcome,
	'outcome_details', outcome_details,
	'details', details)
FROM audit_log
ORDER BY timestamp, id;
