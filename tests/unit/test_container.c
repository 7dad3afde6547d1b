// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/remote/container.h"

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "11111111-2222-3333-4444-555555555555"
#define UID_ "11111111_2222_3333_4444_555555555555"
#define HASH "00112233445566778899aabbccddeeff"

/* @id NULL: no container's. */
struct row {
	const char *path, *id, *runtime, *pod_uid;
};

static void expect_rows(const struct row *rows)
{
	for (; rows->path; rows++) {
		struct container_id got = { .id = "untouched", .runtime = "untouched", .pod_uid = "untouched" };
		int err = container_id_parse(rows->path, &got);

		if (err != (rows->id ? 0 : -ENOENT))
			print_error("%s\n", rows->path);
		assert_int_equal(err, rows->id ? 0 : -ENOENT);
		assert_string_equal(got.id, rows->id ? rows->id : "untouched");
		assert_string_equal(got.runtime, rows->id ? rows->runtime : "untouched");
		assert_string_equal(got.pod_uid, rows->id ? rows->pod_uid : "untouched");
	}
}

static void pods_containers_are_found_with_both_drivers(void **state)
{
	static const struct row rows[] = {
		{ "/kubepods/burstable/pod" UID "/" A, A, "", UID },
		{ "/kubepods/besteffort/pod" UID "/" A, A, "", UID },
		{ "/kubepods/pod" UID "/" A, A, "", UID },
		{ "/kubepods/burstable/pod" HASH "/" A, A, "", HASH },
		{ "/kubepods/burstable/pod" UID "/crio-" A, A, "cri-o", UID },
		{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice/cri-containerd-" A
		  ".scope",
		  A, "containerd", UID },
		{ "/kubepods.slice/kubepods-pod" UID_ ".slice/cri-containerd-" A ".scope", A, "containerd", UID },
		{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" HASH ".slice/cri-containerd-" A
		  ".scope/deeper/still",
		  A, "containerd", HASH },
		{ "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_ ".slice/crio-" A ".scope",
		  A, "cri-o", UID },
		{ "/kubepods.slice/kubepods-pod" UID_ ".slice/crio-" A ".scope/container", A, "cri-o", UID },
		{ "/kubepods.slice/kubepods-pod" UID_ ".slice/docker-" A ".scope", A, "docker", UID },
		{ "/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" A, A,
		  "containerd", UID },
		{ "/../../../kubepods/burstable/pod" UID "/" A, A, "", UID },
		{ "/../../kubepods-pod" UID_ ".slice/cri-containerd-" A ".scope", A, "containerd", UID },
		{}
	};

	(void)state;
	expect_rows(rows);
}

static void containers_without_a_pod_are_found(void **state)
{
	static const struct row rows[] = {
		{ "/docker/" A, A, "docker", "" },
		{ "/system.slice/docker-" A ".scope", A, "docker", "" },
		{ "/libpod_parent/libpod-" A, A, "podman", "" },
		{ "/libpod_parent/" B "/libpod-" A, A, "podman", "" },
		{ "/machine.slice/libpod-" A ".scope/container", A, "podman", "" },
		{ "/machine.slice/machine-libpod_pod_" B ".slice/libpod-" A ".scope", A, "podman", "" },
		{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope", A, "podman", "" },
		{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope/container", A, "podman",
		  "" },
		{ "/system.slice/web.service/libpod-payload-" A, A, "podman", "" },
		{ "/k8s.io/" A, A, "", "" },
		{ "/default/" A, A, "", "" },
		{ "/system.slice/nerdctl-" A ".scope", A, "nerdctl", "" },
		{ "/system.slice/runc-" A ".scope", A, "runc", "" },
		{ "/ecs/0123/" A, A, "", "" },
		{ "/" A, A, "", "" },
		{ "/docker/" A " (deleted)", A, "docker", "" },
		{}
	};

	(void)state;
	expect_rows(rows);
}

static void of_nested_containers_the_inner_one_is_meant(void **state)
{
	static const struct row rows[] = {
		{ "/docker/" B "/kubelet/kubepods/besteffort/pod" UID "/" A, A, "", UID },
		{ "/docker/" B "/docker/" A, A, "docker", "" },
		{ "/docker/" B "/kubelet", B, "docker", "" },
		{ "/system.slice/docker-" B ".scope/kubelet.slice/kubelet-kubepods.slice/"
		  "kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" UID_ ".slice/cri-containerd-" A
		  ".scope",
		  A, "containerd", UID },
		{ "/kubepods/pod" HASH "/" B "/kubepods/pod" UID "/" A, A, "", UID },
		{ "/kubepods/pod" UID "/" B "/docker/" A, A, "docker", UID },
		{ "/lxc.payload.ct/docker/" A, A, "docker", "" },
		{}
	};

	(void)state;
	expect_rows(rows);
}

static void what_watches_a_container_is_none(void **state)
{
	static const struct row rows[] = {
		{ "/kubepods.slice/kubepods-pod" UID_ ".slice/crio-conmon-" A ".scope", NULL, NULL, NULL },
		{ "/kubepods/pod" UID "/crio-conmon-" A, NULL, NULL, NULL },
		{ "/machine.slice/libpod-conmon-" A ".scope", NULL, NULL, NULL },
		{ "/lxc.monitor.ct", NULL, NULL, NULL },
		{ "/machine.slice/systemd-nspawn@ct.service/supervisor", NULL, NULL, NULL },
		{ "/machine.slice/machine-ct.scope/supervisor", NULL, NULL, NULL },
		{ "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", NULL, NULL, NULL },
		{}
	};

	(void)state;
	expect_rows(rows);
}

static void a_machines_name_is_its_id(void **state)
{
	static const struct row rows[] = {
		{ "/lxc.payload.ct/system.slice/x.service", "ct", "lxc", "" },
		{ "/lxc/ct", "ct", "lxc", "" },
		{ "/lxc/ct/init.scope", "ct", "lxc", "" },
		{ "/lxc.payload.outer/lxc.payload.inner", "inner", "lxc", "" },
		{ "/machine.slice/systemd-nspawn@ct.service/payload", "ct", "nspawn", "" },
		{ "/machine.slice/systemd-nspawn@my\\x2dct.service/payload/init.scope", "my-ct", "nspawn", "" },
		{ "/machine.slice/machine-ct.scope/payload", "ct", "machine", "" },
		{ "/machine.slice/machine-lxc\\x2d12\\x2dct.scope", "lxc-12-ct", "machine", "" },
		{ "/lxc/" HASH HASH "x", NULL, NULL, NULL },
		{ "/lxc/" HASH HASH, HASH HASH, "", "" }, /* one like an id is an id */
		{}
	};

	(void)state;
	expect_rows(rows);
}

static void other_cgroups_are_no_containers(void **state)
{
	static const struct row rows[] = {
		{ "", NULL, NULL, NULL },
		{ "/", NULL, NULL, NULL },
		{ "/default/redis", NULL, NULL, NULL },
		{ "/system.slice/nginx.service", NULL, NULL, NULL },
		{ "/user.slice/user-1000.slice/session-2.scope", NULL, NULL, NULL },
		{ "/kubepods/burstable/pod" UID, NULL, NULL, NULL },
		{ "/docker", NULL, NULL, NULL },
		{ A, NULL, NULL, NULL },            /* nothing before it */
		{ "/x" A, NULL, NULL, NULL },       /* nothing of "/-:" before it */
		{ "/docker/" A "0", NULL, NULL, NULL }, /* 65 digits */
		{ "/docker/" A "-x", NULL, NULL, NULL },
		{ "/docker/" A "x", NULL, NULL, NULL },
		{ "/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", NULL, NULL, NULL },
		{ "/lxc/", NULL, NULL, NULL },
		{ "/lxc.payload.", NULL, NULL, NULL },
		{ "/lxc.payload.a b", NULL, NULL, NULL },
		{ "/machine-\\x2f.scope", NULL, NULL, NULL },
		{ "/machine-\\x0.scope", NULL, NULL, NULL },
		{ "/machine-\\x", NULL, NULL, NULL },
		{ "/machine-.scope", NULL, NULL, NULL },
		{}
	};

	(void)state;
	expect_rows(rows);
}

static void what_is_but_like_a_pods_uid_is_none(void **state)
{
	static const struct row rows[] = {
		{ "/pod" UID "x/" A, A, "", "" },
		{ "/pod11111111-2222-3333-4444-55555555555/" A, A, "", "" },
		{ "/pod11111111-2222-3333-4444_555555555555/" A, A, "", UID },
		{ "/pod111111112222-3333-4444-5555555555555/" A, A, "", "" },
		{ "/xpod" UID "/" A, A, "", "" },
		{ "/pod" HASH "0/" A, A, "", "" },
		{ "/pod" UID "-" A, A, "", "" },
		{ "/pod/pod" UID "/" A, A, "", UID },
		{ "/" A "/pod" UID "/x", A, "", "" },
		{}
	};

	(void)state;
	expect_rows(rows);
}

static void a_link_tells_pod_namespace_and_name(void **state)
{
	struct container_info info = { .image = "stale", .runtime = "stale", .pod_uid = "stale" };

	(void)state;
	assert_int_equal(container_link_parse("web-0.a_shop_app-" B "-" A ".log", &info), 0);
	assert_string_equal(info.id, A);
	assert_string_equal(info.pod, "web-0.a");
	assert_string_equal(info.namespace, "shop");
	assert_string_equal(info.name, "app-" B);
	assert_string_equal(info.runtime, "");
	assert_string_equal(info.pod_uid, "");
	assert_string_equal(info.image, "");
}

static void other_names_are_no_links_of_the_kubelets(void **state)
{
	static const char *const names[] = {
		"", ".", "..", "_", "__", "___.log", "web_shop_app.log", "web_shop_app-.log", "web_shop_-" A ".log",
		"web_shop_app" A ".log", "web_shop_app-" A, "web_shop_app-" A ".log.1", "web_shop_app-0" A ".log0",
		"web_shop_app-x" A ".log", "_shop_app-" A ".log", "web__app-" A ".log", "web_shop_" A ".log",
		"web_shop_a_b-" A ".log", "web_shop_App-" A ".log", "web_sh\033p_app-" A ".log",
		"web-shop-app-" A ".log",
		"web_" A "_app-" A ".log", /* no label has 64 characters */
	};
	struct container_info info = { .name = "untouched" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_int_equal(container_link_parse(names[i], &info), -ENOENT);
	assert_string_equal(info.name, "untouched");
}

static void a_pods_folder_is_known_by_its_uid(void **state)
{
	struct container_info info = { .pod_uid = UID, .name = "app" };

	(void)state;
	assert_int_equal(container_folder_parse("shop_web-0_" HASH, &info), -ENOENT);
	assert_int_equal(container_folder_parse("shop_web-0_" UID ".x", &info), -ENOENT);
	assert_int_equal(container_folder_parse("shop__" UID, &info), -ENOENT);
	assert_int_equal(container_folder_parse("shop_" UID, &info), -ENOENT);
	assert_string_equal(info.pod, "");
	assert_int_equal(container_folder_parse("shop_web-0_" UID, &info), 0);
	assert_string_equal(info.namespace, "shop");
	assert_string_equal(info.pod, "web-0");
	assert_string_equal(info.name, "app");
	info.pod_uid[0] = '\0';
	assert_int_equal(container_folder_parse("shop_web-0_", &info), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pods_containers_are_found_with_both_drivers),
		cmocka_unit_test(containers_without_a_pod_are_found),
		cmocka_unit_test(of_nested_containers_the_inner_one_is_meant),
		cmocka_unit_test(what_watches_a_container_is_none),
		cmocka_unit_test(a_machines_name_is_its_id),
		cmocka_unit_test(other_cgroups_are_no_containers),
		cmocka_unit_test(what_is_but_like_a_pods_uid_is_none),
		cmocka_unit_test(a_link_tells_pod_namespace_and_name),
		cmocka_unit_test(other_names_are_no_links_of_the_kubelets),
		cmocka_unit_test(a_pods_folder_is_known_by_its_uid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
