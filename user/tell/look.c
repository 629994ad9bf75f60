/* SPDX-License-Identifier: Apache-2.0 */
#include "tell/look.h"

#include <stdio.h>
#include <time.h>

#include "kernel/mapping.h"

#define NS_PER_S 1000000000ULL

uint32_t ebb_look_class(const struct ebb_look *look, uint64_t workload)
{
	struct ebb_workload value;

	if (!look->mapping)
		return EBB_CLASS_GOVERNED;
	if (ebb_workloads_get(look->mapping, workload, &value) == 0)
		return value.class;
	return look->view->agent->workload_rules == EBB_RULES_ALL ? EBB_CLASS_UNKNOWN : EBB_CLASS_GOVERNED;
}

/* -------------------------------------------------------------- agent -- */

enum ebb_agent_state ebb_agent_state(const struct ebb_agent *agent, uint64_t now_ns)
{
	uint64_t age;

	/* an agent that ends in order takes its pid back; its last heartbeat stands */
	if (agent->heartbeat_ns == 0 || agent->pid == 0)
		return EBB_AGENT_NONE;
	age = ebb_age(now_ns, agent->heartbeat_ns);
	if (age > agent->lease_ns)
		return EBB_AGENT_DEAD;
	return age > EBB_HEARTBEAT_LATE_NS ? EBB_AGENT_SILENT : EBB_AGENT_RUNNING;
}

const char *ebb_agent_state_name(enum ebb_agent_state state)
{
	static const char *const names[] = {
		[EBB_AGENT_NONE] = "none",
		[EBB_AGENT_RUNNING] = "running",
		[EBB_AGENT_SILENT] = "silent",
		[EBB_AGENT_DEAD] = "dead",
	};

	return names[state];
}

/* --------------------------------------------------------------- time -- */

uint64_t ebb_age(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}

int64_t ebb_look_realtime(const struct ebb_look *look, uint64_t at_ns)
{
	/* unsigned: a time that none of ours wrote gives any time, and no overflow */
	return (int64_t)((uint64_t)look->realtime_ns - look->now_ns + at_ns);
}

const char *ebb_format_time(int64_t realtime_ns, bool millis, char *buffer, size_t size)
{
	time_t seconds = (time_t)(realtime_ns / (int64_t)NS_PER_S);
	size_t used = 0;
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		used = strftime(buffer, size, "%Y-%m-%d %H:%M:%S", &tm);
	if (used == 0)
		(void)snprintf(buffer, size, "?");
	else if (millis)
		(void)snprintf(buffer + used, size - used, ".%03d",
			       (int)(realtime_ns % (int64_t)NS_PER_S / 1000000));
	return buffer;
}

/* --------------------------------------------------------------- JSON -- */

json_t *ebb_json_seconds(uint64_t ns)
{
	return json_real((double)ns / (double)NS_PER_S);
}

json_t *ebb_json_count(uint64_t count)
{
	return json_integer((json_int_t)count);
}

json_t *ebb_json_counts(const uint64_t *counts, uint32_t count, const char *(*name)(uint32_t index))
{
	json_t *object = json_object();

	for (uint32_t i = 0; i < count; i++) {
		if (json_object_set_new(object, name(i), ebb_json_count(counts[i])) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

json_t *ebb_json_timestamp(const struct ebb_look *look, uint64_t at_ns)
{
	/* printed with 15 digits, so that no noise of binary fractions shows: to 10 us */
	if (at_ns == 0)
		return json_null();
	return json_real((double)ebb_look_realtime(look, at_ns) / (double)NS_PER_S);
}

/* -------------------------------------------------------------- names -- */

const char *ebb_errno_name(uint32_t code)
{
	static const char *const names[EBB_ERRNO_MAX] = {
		[EBB_ERRNO_CONNREFUSED] = "ECONNREFUSED",
		[EBB_ERRNO_HOSTUNREACH] = "EHOSTUNREACH",
		[EBB_ERRNO_TIMEDOUT] = "ETIMEDOUT",
		[EBB_ERRNO_PERM] = "EPERM",
	};

	return code < EBB_ERRNO_MAX ? names[code] : "unknown";
}

const char *ebb_established_name(uint32_t established)
{
	static const char *const names[EBB_ESTABLISHED_MAX] = {
		[EBB_ESTABLISHED_KEEP] = "keep",
		[EBB_ESTABLISHED_DROP] = "drop",
		[EBB_ESTABLISHED_RESET] = "reset",
	};

	return established < EBB_ESTABLISHED_MAX ? names[established] : "unknown";
}

const char *ebb_on_agent_loss_name(uint32_t loss)
{
	static const char *const names[EBB_LOSS_MAX] = {
		[EBB_LOSS_RELEASE] = "release",
		[EBB_LOSS_HOLD] = "hold",
	};

	return loss < EBB_LOSS_MAX ? names[loss] : "unknown";
}
