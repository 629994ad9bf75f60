# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# The agent as a program, on a node of its own.
begin_agent
governs
end_agent
