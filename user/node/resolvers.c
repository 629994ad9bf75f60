/* SPDX-License-Identifier: Apache-2.0 */
#include "node/resolvers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"

#define ETC	 "/etc/resolv.conf"
#define RESOLVED "/run/systemd/resolve/resolv.conf" /* the servers that systemd-resolved itself asks */

#define FILE_MAX 65536

/* Of a service of Kubernetes, in the environment of pods of its namespace. */
#define CLUSTER_DNS "KUBE_DNS_SERVICE_HOST"

/* Where systemd-resolved listens. */
static const char *const stubs[] = {"127.0.0.53", "127.0.0.54"};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* False: no address. A scope ("fe80::1%eth0") is left out: an answer does not say it. */
static bool read_address(const char *text, uint8_t ret_addr[16])
{
	char copy[INET6_ADDRSTRLEN];
	size_t size = strcspn(text, "% \t\r\n");

	if (size == 0 || size >= sizeof(copy))
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	if (inet_pton(AF_INET6, copy, ret_addr) == 1)
		return true;
	memcpy(ret_addr, mapped, sizeof(mapped));
	return inet_pton(AF_INET, copy, ret_addr + 12) == 1;
}

void ebb_resolvers_add(struct ebb_resolvers *resolvers, const uint8_t addr[16], bool named)
{
	for (size_t i = 0; i < resolvers->count; i++) {
		if (memcmp(resolvers->addrs[i], addr, 16) == 0) {
			resolvers->named[i] |= named;
			return;
		}
	}
	if (resolvers->count == EBB_RESOLVERS_KNOWN_MAX)
		return;
	memcpy(resolvers->addrs[resolvers->count], addr, 16);
	resolvers->named[resolvers->count++] = named;
}

static void add_address(struct ebb_resolvers *resolvers, const char *text)
{
	uint8_t addr[16];

	if (read_address(text, addr))
		ebb_resolvers_add(resolvers, addr, false);
}

void ebb_resolvers_add_text(struct ebb_resolvers *resolvers, const char *text)
{
	static const char word[] = "nameserver";

	for (const char *line = text; *line;) {
		size_t size = strcspn(line, "\n");

		/* as resolvers of libc read it: the word at the start of a line, then blanks */
		if (strncmp(line, word, sizeof(word) - 1) == 0 &&
		    (line[sizeof(word) - 1] == ' ' || line[sizeof(word) - 1] == '\t')) {
			line += sizeof(word) - 1;
			add_address(resolvers, line + strspn(line, " \t"));
			size = strcspn(line, "\n");
		}
		line += size + (line[size] == '\n');
	}
}

static void add_file(struct ebb_resolvers *resolvers, const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *text = f ? malloc(FILE_MAX) : NULL;
	size_t size;

	if (!text)
		return;
	size = fread(text, 1, FILE_MAX - 1, f);
	text[size] = '\0';
	ebb_resolvers_add_text(resolvers, text);
}

void ebb_resolvers_find(struct ebb_resolvers *resolvers)
{
	const char *cluster = getenv(CLUSTER_DNS);

	add_file(resolvers, ETC);
	add_file(resolvers, RESOLVED);
	for (size_t i = 0; i < sizeof(stubs) / sizeof(stubs[0]); i++)
		add_address(resolvers, stubs[i]);
	if (cluster)
		add_address(resolvers, cluster);
}

bool ebb_resolvers_changed(uint64_t *io_state)
{
	static const char *const paths[] = {ETC, RESOLVED};
	uint64_t state = 1;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct stat st;

		if (stat(paths[i], &st) < 0)
			memset(&st, 0, sizeof(st));
		state = (state ^ st.st_ino) * 0x9e3779b97f4a7c15ULL;
		state = (state ^ (uint64_t)st.st_size) * 0x9e3779b97f4a7c15ULL;
		state = (state ^ (uint64_t)st.st_mtim.tv_sec) * 0x9e3779b97f4a7c15ULL;
		state = (state ^ (uint64_t)st.st_mtim.tv_nsec) * 0x9e3779b97f4a7c15ULL;
	}
	state |= 1;
	if (state == *io_state)
		return false;
	*io_state = state;
	return true;
}

static bool is_loopback(const uint8_t addr[16])
{
	static const uint8_t one[16] = {[15] = 1};

	return memcmp(addr, one, 16) == 0 || (memcmp(addr, mapped, sizeof(mapped)) == 0 && addr[12] == 127);
}

bool ebb_resolvers_believe(const struct ebb_resolvers *resolvers, const uint8_t from[16], bool local,
			   bool trusted)
{
	for (size_t i = 0; i < resolvers->count; i++) {
		if (memcmp(resolvers->addrs[i], from, 16) == 0)
			return resolvers->named[i] || trusted || (!local && !is_loopback(from));
	}
	return false;
}

bool ebb_resolvers_equal(const struct ebb_resolvers *a, const struct ebb_resolvers *b)
{
	return a->count == b->count && memcmp(a->addrs, b->addrs, a->count * sizeof(a->addrs[0])) == 0 &&
	       memcmp(a->named, b->named, a->count * sizeof(a->named[0])) == 0;
}

const char *ebb_resolvers_text(const struct ebb_resolvers *resolvers, char *buffer, size_t size)
{
	size_t used = 0;

	if (size == 0)
		return buffer;
	buffer[0] = '\0';
	for (size_t i = 0; i < resolvers->count; i++) {
		const uint8_t *addr = resolvers->addrs[i];
		char text[INET6_ADDRSTRLEN] = "?";
		int n;

		if (memcmp(addr, mapped, sizeof(mapped)) == 0)
			(void)inet_ntop(AF_INET, addr + 12, text, sizeof(text));
		else
			(void)inet_ntop(AF_INET6, addr, text, sizeof(text));
		n = snprintf(buffer + used, size - used, "%s%s", i ? " " : "", text);
		if (n < 0 || (size_t)n >= size - used) {
			buffer[used] = '\0';
			break;
		}
		used += (size_t)n;
	}
	return buffer;
}
