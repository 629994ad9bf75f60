// SPDX-License-Identifier: Apache-2.0
/* A path that takes time. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/lib/delay.h"

#define RING_SIZE  (64U << 20)
#define PACKET_MAX (sizeof(struct virtio_net_hdr) + 65536)
#define BATCH	   64 /* packets read from one device before the other has its turn */
#define NS_PER_US  1000ULL
#define NS_PER_S   1000000000ULL

struct record {
	uint64_t due_ns;
	uint32_t size; /* 0: the next record is at the start of the ring */
	uint32_t unused;
	uint8_t packet[];
};

#define RECORD_MAX ((sizeof(struct record) + PACKET_MAX + 7) & ~(size_t)7)

/* Records lie one behind the other; none is broken in two. */
struct ring {
	uint8_t *bytes;
	size_t head; /* where the next goes */
	size_t tail; /* the oldest */
	size_t held;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static struct record *record_at(const struct ring *ring, size_t at)
{
	return (struct record *)(void *)(ring->bytes + at);
}

/* Room for the largest packet; NULL: full. */
static struct record *ring_room(struct ring *ring)
{
	if (RING_SIZE - ring->held < 2 * RECORD_MAX)
		return NULL;
	if (RING_SIZE - ring->head < RECORD_MAX + sizeof(struct record)) {
		record_at(ring, ring->head)->size = 0;
		ring->held += RING_SIZE - ring->head;
		ring->head = 0;
	}
	return record_at(ring, ring->head);
}

static size_t record_size(const struct record *record)
{
	return (sizeof(*record) + record->size + 7) & ~(size_t)7;
}

static void ring_push(struct ring *ring, const struct record *record)
{
	ring->head += record_size(record);
	ring->held += record_size(record);
}

/* The oldest; NULL: empty. */
static struct record *ring_oldest(struct ring *ring)
{
	if (ring->held == 0)
		return NULL;
	if (record_at(ring, ring->tail)->size == 0) {
		ring->held -= RING_SIZE - ring->tail;
		ring->tail = 0;
	}
	return ring->held ? record_at(ring, ring->tail) : NULL;
}

static void ring_pop(struct ring *ring)
{
	size_t size = record_size(record_at(ring, ring->tail));

	ring->tail += size;
	ring->held -= size;
}

int delay_device(int netns_fd, const char *name, int *ret_fd)
{
	_cleanup_close_ int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
	unsigned int offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (home < 0)
		return -errno;
	if (netns_fd >= 0 && setns(netns_fd, CLONE_NEWNET) < 0)
		return -errno;
	(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETOFFLOAD, offload) < 0)
		r = -errno;
	if (netns_fd >= 0 && setns(home, CLONE_NEWNET) < 0 && r == 0)
		r = -errno;
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

/* A packet of several segments has on the wire the headers of each of them. */
static void count(struct delay_stats *stats, const uint8_t *packet, size_t size)
{
	const struct virtio_net_hdr *offload = (const void *)packet;
	const uint8_t *ip = packet + sizeof(*offload);
	size_t bytes = size - sizeof(*offload), headers, segments = 1;

	stats->packets++;
	if (offload->gso_type != VIRTIO_NET_HDR_GSO_NONE && offload->gso_size && bytes > 60) {
		headers = ip[0] >> 4 == 4 ? (size_t)(ip[0] & 15) * 4 : 40;
		headers += (size_t)(ip[headers + 12] >> 4) * 4;
		segments = (bytes - headers + offload->gso_size - 1) / offload->gso_size;
		bytes += (segments - 1) * headers;
	}
	stats->segments += segments;
	stats->ip_bytes += bytes;
}

/* Returns whether there may be more. */
static bool take_in(int device, struct ring *ring, uint64_t delay_ns, struct delay_stats *stats)
{
	static uint8_t nowhere[PACKET_MAX];

	for (int i = 0; i < BATCH; i++) {
		struct record *record = ring_room(ring);
		ssize_t size = read(device, record ? record->packet : nowhere, PACKET_MAX);

		if (size <= (ssize_t)sizeof(struct virtio_net_hdr))
			return false;
		if (!record) {
			stats->dropped++;
			continue;
		}
		record->due_ns = now_ns() + delay_ns;
		record->size = (uint32_t)size;
		ring_push(ring, record);
		if (ring->held > stats->held_max)
			stats->held_max = ring->held;
	}
	return true;
}

static void note_late(struct delay_stats *stats, uint64_t late_ns)
{
	uint64_t us = late_ns / NS_PER_US;
	int bucket = us ? 64 - __builtin_clzll(us) : 0;

	stats->late[bucket < DELAY_LATE_BUCKETS ? bucket : DELAY_LATE_BUCKETS - 1]++;
	if (late_ns > stats->late_max_ns)
		stats->late_max_ns = late_ns;
}

/* Returns when the next is due, 0: there is none. */
static uint64_t hand_over(struct ring *ring, int device, struct delay_stats *stats)
{
	struct record *record;
	uint64_t now = 0;

	while ((record = ring_oldest(ring)) != NULL) {
		if (record->due_ns > now) {
			now = now_ns();
			if (record->due_ns > now)
				return record->due_ns;
		}
		note_late(stats, now - record->due_ns);
		if (write(device, record->packet, record->size) == (ssize_t)record->size)
			count(stats, record->packet, record->size);
		else
			stats->dropped++;
		ring_pop(ring);
	}
	return 0;
}

static int wait_until(struct pollfd *sources, uint64_t due_ns)
{
	uint64_t now = now_ns(), ns = due_ns > now ? due_ns - now : 0;
	struct timespec timeout = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

	if (ppoll(sources, 3, due_ns ? &timeout : NULL, NULL) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

int delay_run(const int devices[2], uint64_t delay_ns, int stop_fd, struct delay_stats ret_stats[2])
{
	struct pollfd sources[3] = {{.fd = devices[0], .events = POLLIN},
				    {.fd = devices[1], .events = POLLIN},
				    {.fd = stop_fd, .events = POLLIN}};
	struct ring rings[2] = {{0}, {0}};
	bool more;
	int r = 0;

	memset(ret_stats, 0, 2 * sizeof(*ret_stats));
	for (int i = 0; i < 2; i++) {
		rings[i].bytes = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (rings[i].bytes == MAP_FAILED)
			return -errno;
	}
	/* else a wait ends up to 50 us late */
	(void)prctl(PR_SET_TIMERSLACK, 1);
	while (r == 0 && !sources[2].revents) {
		uint64_t due[2];

		more = false;
		for (int i = 0; i < 2; i++)
			more |= take_in(devices[i], &rings[i], delay_ns, &ret_stats[i]);
		for (int i = 0; i < 2; i++)
			due[i] = hand_over(&rings[i], devices[1 - i], &ret_stats[i]);
		if (more)
			continue;
		r = wait_until(sources, !due[0] || (due[1] && due[1] < due[0]) ? due[1] : due[0]);
	}
	for (int i = 0; i < 2; i++)
		(void)munmap(rings[i].bytes, RING_SIZE);
	return r;
}

uint64_t delay_late_us(const struct delay_stats *stats, double q)
{
	uint64_t all = 0, seen = 0;

	for (int i = 0; i < DELAY_LATE_BUCKETS; i++)
		all += stats->late[i];
	for (int i = 0; i < DELAY_LATE_BUCKETS; i++) {
		seen += stats->late[i];
		if ((double)seen >= q * (double)all)
			return 1ULL << i;
	}
	return 1ULL << (DELAY_LATE_BUCKETS - 1);
}
