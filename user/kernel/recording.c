/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel/layout.h"
#include "lib/cleanup.h"

struct ebb_recording {
	int lock_fd;
	struct ebb_recorder *recorder; /* mapped, a page; MAP_FAILED: not */
	struct ring_buffer *ring;
	ebb_record_handler handle; /* during ebb_recording_take(); NULL: what there is is dropped */
	void *userdata;
};

static int on_sample(void *context, void *data, size_t size)
{
	const struct ebb_recording *recording = context;

	if (size >= sizeof(struct ebb_record) && recording->handle)
		recording->handle(recording->userdata, data);
	return 0;
}

static int open_map(const char *pin_dir, const char *name, int *ret_fd, struct ebb_why *why)
{
	char path[EBB_PIN_PATH_MAX];
	int fd, r;

	r = ebb_pin_path(pin_dir, "", name, path, sizeof(path));
	if (r < 0)
		return ebb_why(why, r, "--pin: '%s' is too long", pin_dir);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return ebb_why(why, fd, "cannot open '%s': %s", path, ebb_strerror(fd));
	*ret_fd = fd;
	return 0;
}

static int map_recorder(struct ebb_recording *rec, const char *pin_dir, struct ebb_why *why)
{
	struct bpf_map_info info = {0};
	__u32 info_size = sizeof(info);
	_cleanup_close_ int fd = -1;
	void *memory;
	int r;

	r = open_map(pin_dir, "ebb_recorder_v2", &fd, why);
	if (r < 0)
		return r;
	r = bpf_obj_get_info_by_fd(fd, &info, &info_size);
	if (r < 0)
		return ebb_why(why, r, "cannot read about map 'ebb_recorder_v2' in '%s': %s", pin_dir,
			       ebb_strerror(r));
	if (info.value_size != sizeof(struct ebb_recorder) || !(info.map_flags & BPF_F_MMAPABLE))
		return ebb_why(why, -EPROTO,
			       "map 'ebb_recorder_v2' in '%s' has another layout than this ebb: run 'ebb detach --pin %s' first",
			       pin_dir, pin_dir);
	memory = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED) {
		r = -errno;
		return ebb_why(why, r, "cannot map 'ebb_recorder_v2' of '%s' into memory: %s", pin_dir,
			       ebb_strerror(r));
	}
	rec->recorder = memory;
	return 0;
}

static int open_ring(struct ebb_recording *rec, const char *pin_dir, struct ebb_why *why)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = open_map(pin_dir, "ebb_record_v2", &fd, why);
	if (r < 0)
		return r;
	/* the map stays as long as its memory is mapped */
	rec->ring = ring_buffer__new(fd, on_sample, rec, NULL);
	if (!rec->ring) {
		r = -errno;
		return ebb_why(why, r, "cannot read the results: %s", ebb_strerror(r));
	}
	return 0;
}

/* It dies with its holder; user/kernel/maps.c says why it is a directory. */
static int take_lock(struct ebb_recording *rec, const char *pin_dir, struct ebb_why *why)
{
	char path[EBB_PIN_PATH_MAX];
	int r;

	r = ebb_pin_path(pin_dir, "", EBB_RECORD_LOCK, path, sizeof(path));
	if (r < 0)
		return ebb_why(why, r, "--pin: '%s' is too long", pin_dir);
	rec->lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rec->lock_fd < 0) {
		r = -errno;
		return ebb_why(why, r, "cannot open '%s': %s", path, ebb_strerror(r));
	}
	if (flock(rec->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		r = -errno;
		if (r != -EWOULDBLOCK)
			return ebb_why(why, r, "cannot lock '%s': %s", path, ebb_strerror(r));
		return ebb_why(why, -EBUSY,
			       "process %u of uid %u records in '%s' already: end it first, or wait until it ends",
			       rec->recorder->pid, rec->recorder->uid, pin_dir);
	}
	return 0;
}

int ebb_recording_open(const char *pin_dir, uint32_t uid, struct ebb_recording **ret_recording,
		       struct ebb_why *why)
{
	struct ebb_recording *rec = calloc(1, sizeof(*rec));
	int r;

	if (!rec)
		return ebb_why(why, -ENOMEM, "out of memory");
	rec->lock_fd = -1;
	rec->recorder = MAP_FAILED;
	r = map_recorder(rec, pin_dir, why);
	if (r == 0)
		r = take_lock(rec, pin_dir, why);
	if (r == 0) {
		/* one that was killed may have left it for up to two seconds */
		ebb_recording_stop(rec);
		r = open_ring(rec, pin_dir, why);
	}
	if (r == 0) {
		r = ebb_recording_take(rec, NULL, NULL);
		if (r < 0)
			(void)ebb_why(why, r, "cannot read the results: %s", ebb_strerror(r));
	}
	if (r < 0) {
		ebb_recording_close(rec);
		return r;
	}
	rec->recorder->pid = (uint32_t)getpid();
	rec->recorder->uid = uid;
	*ret_recording = rec;
	return 0;
}

void ebb_recording_stop(struct ebb_recording *recording)
{
	__atomic_store_n(&recording->recorder->until_ns, 0, __ATOMIC_RELEASE);
}

void ebb_recording_close(struct ebb_recording *recording)
{
	if (!recording)
		return;
	ring_buffer__free(recording->ring);
	if (recording->recorder != MAP_FAILED)
		(void)munmap(recording->recorder, (size_t)sysconf(_SC_PAGESIZE));
	if (recording->lock_fd >= 0)
		(void)close(recording->lock_fd);
	free(recording);
}

bool ebb_recording_renew(struct ebb_recording *recording, uint64_t now_ns)
{
	uint64_t until_ns = recording->recorder->until_ns;

	__atomic_store_n(&recording->recorder->until_ns, now_ns + EBB_RECORDING_LEASE_NS, __ATOMIC_RELEASE);
	return until_ns && until_ns < now_ns;
}

int ebb_recording_take(struct ebb_recording *recording, ebb_record_handler handle, void *userdata)
{
	int r;

	recording->handle = handle;
	recording->userdata = userdata;
	r = ring_buffer__consume(recording->ring);
	return r < 0 ? r : 0;
}
