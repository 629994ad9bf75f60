/* SPDX-License-Identifier: Apache-2.0 */
/* user/node/cgroup.c: mountinfo, what "auto" means, and names by id. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cap-ng.h>
#include <cmocka.h>

#include "lib/cleanup.h"
#include "node/cgroup.h"
#include "node/cgroup_tree.h"

/* ------------------------------------------------------------- mounts -- */

struct mounts_case {
	const char *what;
	const char *text;
	const char *path;
	bool v1;
};

static const struct mounts_case mounts_cases[] = {
	{"nothing at all", "", "", false},
	{"pure", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
	 "/sys/fs/cgroup", false},
	{"hybrid",
	 "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
	 "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
	 "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
	 "/sys/fs/cgroup/unified", true},
	{"v1 alone", "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n", "", true},
	{"many optional fields",
	 "30 23 0:26 / /cg rw shared:4 master:7 propagate_from:2 unbindable - cgroup2 none rw\n", "/cg",
	 false},
	{"octal escapes", "30 23 0:26 / /a\\040b\\011c\\134d rw - cgroup2 none rw\n", "/a b\tc\\d", false},
	{"a backslash that is no escape", "30 23 0:26 / /a\\9b\\ rw - cgroup2 none rw\n", "/a\\9b\\", false},
	{"the type is read after the separator",
	 "30 23 0:26 / /cgroup2 rw - ext4 cgroup2 rw\n31 23 0:27 / /real rw - cgroup2 ext4 rw\n", "/real",
	 false},
	{"a bind mount of a part is not taken",
	 "30 23 0:26 /kubepods/pod1 /part rw - cgroup2 none rw\n31 23 0:26 / /whole rw - cgroup2 none rw\n",
	 "/whole", false},
	{"above our cgroup namespace is better",
	 "30 23 0:26 / /own rw - cgroup2 none rw\n31 23 0:26 /../.. /host rw - cgroup2 none rw\n", "/host",
	 false},
	{"a part is better than nothing", "30 23 0:26 /a /part rw - cgroup2 none rw\n", "/part", false},
	{"of equals the first", "30 23 0:26 / /one rw - cgroup2 a rw\n31 23 0:26 / /two rw - cgroup2 b rw\n",
	 "/one", false},
	{"lines that are cut are skipped",
	 "\n30\n30 23 0:26 / /cut rw\n30 23 0:26 / /cut rw -\n31 23 0:26 / /ok rw - cgroup2 none rw", "/ok",
	 false},
};

static void mountinfo_is_read_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mounts_cases) / sizeof(mounts_cases[0]); i++) {
		const struct mounts_case *c = &mounts_cases[i];
		struct ebb_cgroup_mounts mounts = {.path = "untouched"};
		/* fmemopen(3) takes no empty text */
		size_t size = strlen(c->text);
		_cleanup_free_ char *text = strdup(size > 0 ? c->text : "\n");
		_cleanup_fclose_ FILE *file = NULL;

		assert_non_null(text);
		file = fmemopen(text, strlen(text), "r");
		assert_non_null(file);
		if (ebb_cgroup_parse_mounts(file, &mounts) != 0 || strcmp(mounts.path, c->path) != 0 ||
		    mounts.v1 != c->v1)
			fail_msg("%s: path '%s', v1 %d", c->what, mounts.path, mounts.v1);
	}
}

static void a_path_that_is_too_long_is_no_mount(void **state)
{
	struct ebb_cgroup_mounts mounts;
	char text[EBB_CGROUP_PATH_MAX + 64];
	_cleanup_fclose_ FILE *file = NULL;
	char point[EBB_CGROUP_PATH_MAX + 1];

	(void)state;
	memset(point, 'x', sizeof(point) - 1);
	point[0] = '/';
	point[sizeof(point) - 1] = '\0';
	(void)snprintf(text, sizeof(text), "30 23 0:26 / %s rw - cgroup2 none rw\n", point);
	file = fmemopen(text, strlen(text), "r");
	assert_non_null(file);
	assert_int_equal(ebb_cgroup_parse_mounts(file, &mounts), 0);
	assert_string_equal(mounts.path, "");
}

/* --------------------------------------------------------------- auto -- */

struct directory {
	char path[64];
};

static int make_directory(void **state)
{
	static struct directory directory;

	(void)snprintf(directory.path, sizeof(directory.path), "/tmp/ebb-test-cgroup-XXXXXX");
	*state = &directory;
	return mkdtemp(directory.path) ? 0 : -1;
}

static const char *below(const struct directory *directory, const char *name)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", directory->path, name);
	return path;
}

static int remove_directory(void **state)
{
	static const char *const names[] = {"kubepods.slice", "kubepods", "kubelet/kubepods", "kubelet",
					    "file"};
	const struct directory *directory = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)remove(below(directory, names[i]));
	return rmdir(directory->path);
}

static void auto_takes_the_pods_where_there_are_some(void **state)
{
	const struct directory *directory = *state;
	char path[EBB_CGROUP_PATH_MAX];

	assert_int_equal(ebb_cgroup_auto_below(directory->path, path, sizeof(path)), 0);
	assert_string_equal(path, directory->path);

	assert_int_equal(mkdir(below(directory, "kubelet"), 0700), 0);
	assert_int_equal(mkdir(below(directory, "kubelet/kubepods"), 0700), 0);
	assert_int_equal(ebb_cgroup_auto_below(directory->path, path, sizeof(path)), 0);
	assert_string_equal(path, below(directory, "kubelet/kubepods"));

	assert_int_equal(mkdir(below(directory, "kubepods"), 0700), 0);
	assert_int_equal(ebb_cgroup_auto_below(directory->path, path, sizeof(path)), 0);
	assert_string_equal(path, below(directory, "kubepods"));

	assert_int_equal(mkdir(below(directory, "kubepods.slice"), 0700), 0);
	assert_int_equal(ebb_cgroup_auto_below(directory->path, path, sizeof(path)), 0);
	assert_string_equal(path, below(directory, "kubepods.slice"));

	assert_int_equal(ebb_cgroup_auto_below(directory->path, path, 8), -ENAMETOOLONG);
}

/* --------------------------------------------------------------- open -- */

static void what_is_no_cgroup_is_refused_with_what_to_do(void **state)
{
	const struct directory *directory = *state;
	struct ebb_why why = {};
	uint64_t id = 7;
	int fd = -7;
	FILE *file;

	assert_int_equal(ebb_cgroup_open(directory->path, &fd, &id, &why), -ENOTDIR);
	assert_non_null(strstr(why.text, directory->path));
	assert_non_null(strstr(why.text, "is not a cgroup2 directory: pass one below /"));

	assert_int_equal(ebb_cgroup_open(below(directory, "missing"), &fd, &id, &why), -ENOENT);
	assert_non_null(strstr(why.text, "there is no cgroup '"));

	file = fopen(below(directory, "file"), "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(ebb_cgroup_open(below(directory, "file"), &fd, &id, &why), -ENOTDIR);

	assert_int_equal(fd, -7);
	assert_int_equal(id, 7);
}

/* -------------------------------------------------------------- names -- */

struct fake_kernel {
	int asked;
	int error; /* of every answer, 0: none */
	const char *name;
};

static int fake_resolve(void *userdata, uint64_t id, char *ret_path, size_t size)
{
	struct fake_kernel *kernel = userdata;

	kernel->asked++;
	if (kernel->error)
		return kernel->error;
	(void)snprintf(ret_path, size, "/%s%" PRIu64, kernel->name, id);
	return 0;
}

static void a_name_is_asked_for_once_and_outlives_its_cgroup(void **state)
{
	struct fake_kernel kernel = {.name = "a"};
	struct ebb_cgroup_names *names = NULL;

	(void)state;
	assert_int_equal(ebb_cgroup_names_new_from(fake_resolve, &kernel, 4, &names), 0);
	assert_string_equal(ebb_cgroup_name(names, 1), "/a1");
	kernel.error = -ESTALE;
	assert_string_equal(ebb_cgroup_name(names, 1), "/a1");
	assert_int_equal(kernel.asked, 1);
	ebb_cgroup_names_free(names);
}

static void what_cannot_be_named_is_shown_by_its_id(void **state)
{
	struct fake_kernel kernel = {.name = "a", .error = -ESTALE};
	struct ebb_cgroup_names *names = NULL;

	(void)state;
	assert_int_equal(ebb_cgroup_names_new_from(fake_resolve, &kernel, 4, &names), 0);
	assert_string_equal(ebb_cgroup_name(names, 18446744073709551615U), "cgroup:18446744073709551615");
	assert_string_equal(ebb_cgroup_name(names, 18446744073709551615U), "cgroup:18446744073709551615");
	assert_int_equal(kernel.asked, 1);

	/* no descriptor left is not for ever */
	kernel.error = -EMFILE;
	assert_string_equal(ebb_cgroup_name(names, 2), "cgroup:2");
	kernel.error = 0;
	assert_string_equal(ebb_cgroup_name(names, 2), "/a2");
	ebb_cgroup_names_free(names);
}

static void the_table_of_names_is_bounded(void **state)
{
	struct fake_kernel kernel = {.name = "a"};
	struct ebb_cgroup_names *names = NULL;

	(void)state;
	assert_int_equal(ebb_cgroup_names_new_from(fake_resolve, &kernel, 4, &names), 0);
	for (uint64_t id = 1; id <= 4; id++)
		(void)ebb_cgroup_name(names, id);
	for (uint64_t id = 1; id <= 4; id++)
		(void)ebb_cgroup_name(names, id);
	assert_int_equal(kernel.asked, 4);
	/* the fifth empties it */
	assert_string_equal(ebb_cgroup_name(names, 5), "/a5");
	assert_string_equal(ebb_cgroup_name(names, 5), "/a5");
	assert_string_equal(ebb_cgroup_name(names, 1), "/a1");
	assert_int_equal(kernel.asked, 6);
	ebb_cgroup_names_free(names);
}

static void a_name_never_steers_a_terminal(void **state)
{
	struct fake_kernel kernel = {.name = "x\x1b[2J\\x2d\xff\xc3\xa4"};
	struct ebb_cgroup_names *names = NULL;

	(void)state;
	assert_int_equal(ebb_cgroup_names_new_from(fake_resolve, &kernel, 4, &names), 0);
	assert_string_equal(ebb_cgroup_name(names, 1), "/x\\x1b[2J\\x2d\\xff\xc3\xa4"
						       "1");
	ebb_cgroup_names_free(names);
}

/* A skip is a failure where cgroup2 is said to be there. */
static void skip_without_cgroup2(const char *why)
{
	const char *required = getenv("EBB_REQUIRE");

	if (required && strstr(required, "cgroup2"))
		fail_msg("cgroup2 is required: %s", why);
	print_message("skipped: %s\n", why);
	skip();
}

/* CAP_DAC_READ_SEARCH, which turns an id into a path without a walk. */
static void may_open_handles(bool may)
{
	assert_int_equal(capng_get_caps_process(), 0);
	assert_int_equal(capng_update(may ? CAPNG_ADD : CAPNG_DROP, CAPNG_EFFECTIVE, CAP_DAC_READ_SEARCH), 0);
	assert_int_equal(capng_apply(CAPNG_SELECT_CAPS), 0);
}

static void a_real_cgroup_is_named_by_its_id(void **state)
{
	char mount[EBB_CGROUP_PATH_MAX], path[EBB_CGROUP_PATH_MAX + 64], name[64];
	struct ebb_cgroup_names *names = NULL;
	struct ebb_why why = {};
	uint64_t id = 0, root_id = 0;
	int fd = -1;

	(void)state;
	if (geteuid() != 0)
		skip_without_cgroup2("not root");
	if (ebb_cgroup_mount(mount, sizeof(mount), &why) == -ENOENT)
		skip_without_cgroup2(why.text);
	(void)snprintf(name, sizeof(name), "/ebb-test-cgroup-%d \x1b", (int)getpid());
	(void)snprintf(path, sizeof(path), "%s%s", mount, name);
	if (mkdir(path, 0755) < 0 && (errno == EROFS || errno == EACCES))
		skip_without_cgroup2("cgroup2 is read-only");

	assert_int_equal(ebb_cgroup_open(path, &fd, &id, &why), 0);
	(void)close(fd);
	assert_int_equal(ebb_cgroup_open(mount, &fd, &root_id, &why), 0);
	(void)close(fd);

	(void)snprintf(name, sizeof(name), "/ebb-test-cgroup-%d \\x1b", (int)getpid());
	assert_int_equal(ebb_cgroup_names_new(&names), 0);
	assert_string_equal(ebb_cgroup_name(names, root_id), "/");
	assert_string_equal(ebb_cgroup_name(names, id), name);
	ebb_cgroup_names_free(names);

	assert_int_equal(ebb_cgroup_names_new(&names), 0);
	may_open_handles(false);
	assert_string_equal(ebb_cgroup_name(names, id), name);
	assert_string_equal(ebb_cgroup_name(names, root_id), "/");
	may_open_handles(true);
	assert_int_equal(rmdir(path), 0);
	assert_string_equal(ebb_cgroup_name(names, id), name);
	ebb_cgroup_names_free(names);

	/* who comes later cannot know it */
	assert_int_equal(ebb_cgroup_names_new(&names), 0);
	(void)snprintf(name, sizeof(name), "cgroup:%" PRIu64, id);
	assert_string_equal(ebb_cgroup_name(names, id), name);
	ebb_cgroup_names_free(names);
}

/* What a walk met, in no order. */
struct met {
	size_t count;
	char paths[8][64];
	uint64_t ids[8];
};

static int meet(void *userdata, uint64_t id, const char *path)
{
	struct met *met = userdata;

	assert_true(met->count < 8);
	(void)snprintf(met->paths[met->count], sizeof(met->paths[0]), "%s", path);
	met->ids[met->count++] = id;
	return 0;
}

static bool has_met(const struct met *met, const char *root, const char *path)
{
	char whole[PATH_MAX];
	struct stat st;

	(void)snprintf(whole, sizeof(whole), "%s%s", root, path);
	assert_return_code(stat(whole, &st), errno);
	for (size_t i = 0; i < met->count; i++) {
		if (strcmp(met->paths[i], path) == 0)
			return met->ids[i] == st.st_ino;
	}
	return false;
}

static int refuse_the_second(void *userdata, uint64_t id, const char *path)
{
	int *count = userdata;

	(void)id;
	(void)path;
	return ++*count == 2 ? -ENOSPC : 0;
}

static void a_walk_meets_every_directory_once(void **state)
{
	const char *root = *state;
	static const char *const below[] = {"/pods", "/pods/one", "/pods/one/app", "/other"};
	_cleanup_close_ int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct met met = {};
	char path[PATH_MAX];
	int count = 0;

	assert_true(fd >= 0);
	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", root, below[i]);
		assert_return_code(mkdir(path, 0700), errno);
	}
	(void)snprintf(path, sizeof(path), "%s/other/way", root);
	assert_return_code(symlink("../pods", path), errno);

	assert_int_equal(ebb_cgroup_walk(fd, meet, &met), 0);
	assert_int_equal(met.count, 5);
	assert_true(has_met(&met, root, "/"));
	for (size_t i = 0; i < 4; i++)
		assert_true(has_met(&met, root, below[i]));
	assert_int_equal(ebb_cgroup_walk(fd, refuse_the_second, &count), -ENOSPC);
	assert_int_equal(count, 2);

	(void)unlink(path);
	for (size_t i = 4; i-- > 0;) {
		(void)snprintf(path, sizeof(path), "%s%s", root, below[i]);
		(void)rmdir(path);
	}
}

/* What asks whether an id is gone must not take "could not look" for "is not there". */
static void a_list_without_descriptors_is_no_list(void **state)
{
	const char *root = *state;
	_cleanup_close_ int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct ebb_cgroup_ids ids = {};
	struct rlimit before, few;
	struct stat st;
	char one[PATH_MAX], two[PATH_MAX];

	(void)snprintf(one, sizeof(one), "%s/one", root);
	(void)snprintf(two, sizeof(two), "%s/one/two", root);
	assert_return_code(mkdir(one, 0700), errno);
	assert_return_code(mkdir(two, 0700), errno);
	assert_return_code(stat(two, &st), errno);
	assert_int_equal(ebb_cgroup_ids_take_at(fd, &ids), 0);
	assert_int_equal(ids.count, 3);
	assert_true(ebb_cgroup_ids_have(&ids, st.st_ino));
	assert_false(ebb_cgroup_ids_have(&ids, UINT64_MAX));
	ebb_cgroup_ids_done(&ids);

	/* one more is to be had, for the root */
	assert_return_code(getrlimit(RLIMIT_NOFILE, &before), errno);
	few = before;
	few.rlim_cur = (rlim_t)fd + 2;
	assert_return_code(setrlimit(RLIMIT_NOFILE, &few), errno);
	assert_int_equal(ebb_cgroup_ids_take_at(fd, &ids), -EMFILE);
	assert_return_code(setrlimit(RLIMIT_NOFILE, &before), errno);
	assert_null(ids.list);
	(void)rmdir(two);
	(void)rmdir(one);
}

static void a_walk_of_nothing_says_so(void **state)
{
	struct met met = {};

	(void)state;
	assert_int_equal(ebb_cgroup_walk(-1, meet, &met), -EBADF);
	assert_int_equal(met.count, 0);
}

static void freeing_nothing_is_fine(void **state)
{
	(void)state;
	ebb_cgroup_names_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mountinfo_is_read_whole),
		cmocka_unit_test(a_path_that_is_too_long_is_no_mount),
		cmocka_unit_test_setup_teardown(auto_takes_the_pods_where_there_are_some, make_directory,
						remove_directory),
		cmocka_unit_test_setup_teardown(what_is_no_cgroup_is_refused_with_what_to_do, make_directory,
						remove_directory),
		cmocka_unit_test(a_name_is_asked_for_once_and_outlives_its_cgroup),
		cmocka_unit_test(what_cannot_be_named_is_shown_by_its_id),
		cmocka_unit_test(the_table_of_names_is_bounded),
		cmocka_unit_test(a_name_never_steers_a_terminal),
		cmocka_unit_test(a_real_cgroup_is_named_by_its_id),
		cmocka_unit_test_setup_teardown(a_walk_meets_every_directory_once, make_directory,
						remove_directory),
		cmocka_unit_test_setup_teardown(a_list_without_descriptors_is_no_list, make_directory,
						remove_directory),
		cmocka_unit_test(a_walk_of_nothing_says_so),
		cmocka_unit_test(freeing_nothing_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
