/* SPDX-License-Identifier: Apache-2.0 */
/* node/place.h: cgroup paths as kubelet, the runtimes and systemd make them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/place.h"

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "1f2e3d4c-0a1b-4c5d-8e9f-001122334455"
#define LOW "1f2e3d4c_0a1b_4c5d_8e9f_001122334455"
#define MD5 "d41d8cd98f00b204e9800998ecf8427e"

#define SYSTEMD "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" LOW ".slice"
#define KIND                                                                       \
	"/system.slice/docker-" ID2 ".scope/kubelet.slice/kubelet-kubepods.slice/" \
	"kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" LOW ".slice"

static const struct {
	const char *path;
	enum ebb_qos qos;
	const char *pod, *container, *unit;
} cases[] = {
	/* systemd driver */
	{SYSTEMD, EBB_QOS_BURSTABLE, UID, "", ""},
	{SYSTEMD "/cri-containerd-" ID ".scope", EBB_QOS_BURSTABLE, UID, ID, "cri-containerd-" ID ".scope"},
	{SYSTEMD "/crio-" ID ".scope", EBB_QOS_BURSTABLE, UID, ID, "crio-" ID ".scope"},
	{SYSTEMD "/crio-" ID ".scope/container", EBB_QOS_BURSTABLE, UID, ID, "crio-" ID ".scope"},
	{SYSTEMD "/crio-conmon-" ID ".scope", EBB_QOS_BURSTABLE, UID, "", "crio-conmon-" ID ".scope"},
	{SYSTEMD "/docker-" ID ".scope", EBB_QOS_BURSTABLE, UID, ID, "docker-" ID ".scope"},
	{SYSTEMD "/cri-containerd-" ID ".scope/system.slice/nginx.service", EBB_QOS_BURSTABLE, UID, ID,
	 "nginx.service"},
	{"/kubepods.slice/kubepods-pod" LOW ".slice/crio-" ID ".scope", EBB_QOS_GUARANTEED, UID, ID,
	 "crio-" ID ".scope"},
	{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" MD5 ".slice", EBB_QOS_BESTEFFORT,
	 MD5, "", ""},
	{"/system.slice/containerd.service/kubepods-besteffort-pod" LOW ".slice:cri-containerd:" ID,
	 EBB_QOS_BESTEFFORT, UID, ID, "containerd.service"},
	{"/my.slice/my-pod.slice/my-pod-kubepods.slice/my-pod-kubepods-pod" LOW ".slice", EBB_QOS_GUARANTEED,
	 UID, "", ""},
	/* cgroupfs driver */
	{"/kubepods/pod" UID "/" ID, EBB_QOS_GUARANTEED, UID, ID, ""},
	{"/kubepods/burstable/pod" UID "/" ID, EBB_QOS_BURSTABLE, UID, ID, ""},
	{"/kubepods/besteffort/pod" UID, EBB_QOS_BESTEFFORT, UID, "", ""},
	{"/kubepods/burstable/pod" MD5 "/" ID, EBB_QOS_BURSTABLE, MD5, ID, ""},
	{"/kubepods/burstable/pod" UID "/crio-" ID, EBB_QOS_BURSTABLE, UID, ID, ""},
	{"/kubepods/burstable/pod" UID "/crio-conmon-" ID, EBB_QOS_BURSTABLE, UID, "", ""},
	/* kubelet in a container; hybrid hierarchies; other mount points */
	{KIND "/cri-containerd-" ID ".scope", EBB_QOS_BESTEFFORT, UID, ID, "cri-containerd-" ID ".scope"},
	{"/docker/" ID2 "/kubelet/kubepods/besteffort/pod" UID "/" ID, EBB_QOS_BESTEFFORT, UID, ID, ""},
	{"/sys/fs/cgroup/unified/kubepods/pod" UID "/" ID, EBB_QOS_GUARANTEED, UID, ID, ""},
	{"/../..//kubepods//pod" UID "//" ID "/", EBB_QOS_GUARANTEED, UID, ID, ""},
	/* a pod in a pod */
	{"/kubepods/pod" UID "/" ID "/kubepods/burstable/pod" MD5 "/" ID2, EBB_QOS_GUARANTEED, UID, ID, ""},
	/* no pods */
	{"", EBB_QOS_NONE, "", "", ""},
	{"/", EBB_QOS_NONE, "", "", ""},
	{"/kubepods.slice/kubepods-burstable.slice", EBB_QOS_NONE, "", "", ""},
	{"/system.slice/kubelet.service", EBB_QOS_NONE, "", "", "kubelet.service"},
	{"/system.slice/docker-" ID ".scope", EBB_QOS_NONE, "", "", "docker-" ID ".scope"},
	{"/user.slice/user-1000.slice/user@1000.service/app.slice/a.service/sub", EBB_QOS_NONE, "", "",
	 "a.service"},
	{"/system.slice/.service", EBB_QOS_NONE, "", "", ""},
	{"/pod" UID "/" ID, EBB_QOS_NONE, "", "", ""},
	{"/kubepods/other/pod" UID, EBB_QOS_NONE, "", "", ""},
	{"/kubepods/pod" LOW, EBB_QOS_NONE, "", "", ""},
	{"/kubepods/pod1F2E3D4C-0a1b-4c5d-8e9f-001122334455", EBB_QOS_NONE, "", "", ""},
	{"/kubepods-pod" UID ".slice", EBB_QOS_NONE, "", "", ""},
	{"/notkubepods-pod" LOW ".slice", EBB_QOS_NONE, "", "", ""},
	{"/kubepods-pod" LOW "0.slice", EBB_QOS_NONE, "", "", ""},
	{"/pod" LOW ".slice", EBB_QOS_NONE, "", "", ""},
	{"/kubepods/pod" UID "/g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	 EBB_QOS_GUARANTEED, UID, "", ""},
	{"/kubepods/pod" UID "/" ID "0", EBB_QOS_GUARANTEED, UID, "", ""},
};

static void paths_tell_pod_container_and_unit(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ebb_place place;

		ebb_place_of(cases[i].path, &place);
		if (place.qos != cases[i].qos)
			print_message("%s\n", cases[i].path);
		assert_int_equal(place.qos, cases[i].qos);
		assert_string_equal(place.pod, cases[i].pod);
		assert_string_equal(place.container, cases[i].container);
		assert_string_equal(place.unit, cases[i].unit);
	}
}

#define SLICE \
	"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod8dbc2fb1_9f1e_4b3e_a3a3_0a1b2c3d4e5f.slice"

static void path_tells_the_cgroup_of_the_pod(void **state)
{
	static const struct {
		const char *path;
		const char *pod; /* NULL: none */
	} paths[] = {
		{SLICE, SLICE},
		{SLICE "/cri-containerd-0123.scope", SLICE},
		{SLICE "/crio-0123.scope/sub", SLICE},
		{"/kubepods/burstable/pod8dbc2fb1-9f1e-4b3e-a3a3-0a1b2c3d4e5f/0123",
		 "/kubepods/burstable/pod8dbc2fb1-9f1e-4b3e-a3a3-0a1b2c3d4e5f"},
		{"/kubepods/pod8dbc2fb1-9f1e-4b3e-a3a3-0a1b2c3d4e5f",
		 "/kubepods/pod8dbc2fb1-9f1e-4b3e-a3a3-0a1b2c3d4e5f"},
		/* a static pod */
		{"/kubepods.slice/kubepods-pod0123456789abcdef0123456789abcdef.slice/x",
		 "/kubepods.slice/kubepods-pod0123456789abcdef0123456789abcdef.slice"},
		{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod8dbc2fb1_9f1e_4b3e_a3a3_0a1b2c3d4e5f.slice",
		 "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod8dbc2fb1_9f1e_4b3e_a3a3_0a1b2c3d4e5f.slice"},
		{"/system.slice/podman.service", NULL},
		{"/kubepods.slice", NULL},
		{"/kubepods.slice/kubepods-burstable.slice", NULL},
		{"/pod8dbc2fb1-9f1e-4b3e-a3a3-0a1b2c3d4e5", NULL},
		{"/pod8dbc2fb1-9f1e-4b3e-a3a3-0a1b2c3d4e5ff", NULL},
		{"/pod8dbc2fb1x9f1e-4b3e-a3a3-0a1b2c3d4e5f", NULL},
		{"/xpod8dbc2fb1-9f1e-4b3e-a3a3-0a1b2c3d4e5f", NULL},
		{"", NULL},
		{"/", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		size_t want = paths[i].pod ? strlen(paths[i].pod) : 0;
		struct ebb_place place;

		ebb_place_of(paths[i].path, &place);
		if (place.pod_length != want)
			fail_msg("%s: %zu", paths[i].path, place.pod_length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_tell_pod_container_and_unit),
		cmocka_unit_test(path_tells_the_cgroup_of_the_pod),
	};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
