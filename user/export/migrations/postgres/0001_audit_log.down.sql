-- SPDX-License-Identifier: Apache-2.0
-- Every event is lost by this.

DROP TABLE audit_log;
DROP TABLE audit_log_migrations;
