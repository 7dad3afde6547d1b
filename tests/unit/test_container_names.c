// SPDX-License-Identifier: Apache-2.0
#include "folder.h"

#include <errno.h>
#include <string.h>

#include "../../user/remote/container_names.h"

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "11111111-2222-3333-4444-555555555555"
#define SECOND 1000000000ull
#define POD_PATH "/kubepods/burstable/pod" UID "/" A
#define TASKS "run/containerd/io.containerd.runtime.v2.task"
#define STORAGE "/containers/storage/overlay-containers"

/* A node with no container, in the test's folder. */
static struct container_names *new_node(size_t max)
{
	struct container_names *names;

	assert_true(files_run("rm -rf * && mkdir -p var/log/containers var/log/pods"));
	names = container_names_new(files_folder, max);
	assert_non_null(names);
	return names;
}

/* A file and the folders it lies in. */
static void put(const char *path, const char *text)
{
	assert_true(files_run("mkdir -p $(dirname %s)", path));
	files_write(path, text);
}

static void put_link(const char *name)
{
	assert_true(files_run("ln -s /var/log/pods/gone/0.log var/log/containers/%s", name));
}

static void expect(const struct container_info *info, const char *name, const char *pod, const char *namespace,
		   const char *runtime, const char *image)
{
	assert_non_null(info);
	assert_string_equal(info->name, name);
	assert_string_equal(info->pod, pod);
	assert_string_equal(info->namespace, namespace);
	assert_string_equal(info->runtime, runtime);
	assert_string_equal(info->image, image);
}

static void a_link_names_the_container(void **state)
{
	struct container_names *names = new_node(0);
	const struct container_info *info;

	(void)state;
	put_link("web-0_shop_app-" A ".log");
	put_link("web-1_shop_app-" B ".log");
	info = container_names_find(names, POD_PATH, SECOND);
	expect(info, "app", "web-0", "shop", "", "");
	assert_string_equal(info->id, A);
	assert_string_equal(info->pod_uid, UID);
	expect(container_names_find(names, "/system.slice/crio-" B ".scope", SECOND), "app", "web-1", "shop",
	       "cri-o", "");
	assert_null(container_names_find(names, "/system.slice/nginx.service", SECOND));
	container_names_free(names);
}

static void what_has_been_found_outlives_its_files(void **state)
{
	struct container_names *names = new_node(0);

	(void)state;
	put_link("web-0_shop_app-" A ".log");
	put("var/lib/docker/containers/" B "/config.v2.json", "{\"Name\":\"/db\"}");
	container_names_find(names, POD_PATH, SECOND);
	container_names_find(names, "/docker/" B, SECOND);
	assert_true(files_run("rm -r var"));
	expect(container_names_find(names, POD_PATH, 900 * SECOND), "app", "web-0", "shop", "", "");
	expect(container_names_find(names, "/docker/" B, 900 * SECOND), "db", "", "", "docker", "");
	container_names_free(names);
}

static void a_scan_takes_in_all_links_before_anybody_asks(void **state)
{
	struct container_names *names = new_node(0);

	(void)state;
	put_link("web-0_shop_app-" A ".log");
	put_link("web-1_shop_app-" B ".log");
	put_link("something.else");
	container_names_scan(names);
	assert_true(files_run("rm -r var"));
	expect(container_names_find(names, "/" B, 0), "app", "web-1", "shop", "", "");
	expect(container_names_find(names, "/" A, 0), "app", "web-0", "shop", "", "");
	container_names_scan(names);
	container_names_free(names);
}

static void a_bundle_adds_what_links_do_not_tell(void **state)
{
	struct container_names *names = new_node(0);

	(void)state;
	put_link("web-0_shop_app-" A ".log");
	container_names_scan(names);
	put(TASKS "/k8s.io/" A "/config.json", "{\"annotations\":{\"io.kubernetes.cri.image-name\":\"shop/app:1\","
	    "\"io.kubernetes.cri.container-name\":\"not\"}}");
	expect(container_names_find(names, POD_PATH, SECOND), "app", "web-0", "shop", "containerd", "shop/app:1");
	container_names_free(names);
}

static void every_runtimes_files_are_found(void **state)
{
	static const struct {
		const char *file, *text, *path;
		const char *name, *pod, *namespace, *runtime;
	} rows[] = {
		{ TASKS "/k8s.io/" A "/config.json",
		  "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\","
		  "\"io.kubernetes.cri.sandbox-name\":\"web-0\",\"io.kubernetes.cri.sandbox-namespace\":\"shop\","
		  "\"io.kubernetes.cri.sandbox-uid\":\"" UID "\"}}",
		  POD_PATH, "app", "web-0", "shop", "containerd" },
		{ TASKS "/default/" A "/config.json", "{\"annotations\":{\"nerdctl/name\":\"web\"}}", "/default/" A,
		  "web", "", "", "containerd" },
		{ "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/" A "/config.json",
		  "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\"}}", "/x/" A, "app", "", "",
		  "containerd" },
		{ "run" STORAGE "/" A "/userdata/config.json",
		  "{\"annotations\":{\"io.container.manager\":\"cri-o\",\"io.kubernetes.container.name\":\"app\","
		  "\"io.kubernetes.pod.name\":\"web-0\",\"io.kubernetes.pod.namespace\":\"shop\"}}",
		  "/x/crio-" A, "app", "web-0", "shop", "cri-o" },
		{ "var/lib/docker/containers/" A "/config.v2.json", "{\"Name\":\"/db\"}\n", "/docker/" A, "db", "", "",
		  "docker" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct container_names *names = new_node(0);

		put(rows[i].file, rows[i].text);
		expect(container_names_find(names, rows[i].path, SECOND), rows[i].name, rows[i].pod, rows[i].namespace,
		       rows[i].runtime, "");
		container_names_free(names);
	}
}

static void podmans_names_are_in_its_lists(void **state)
{
	static const char *const lists[] = {
		"var/lib" STORAGE "/containers.json", "var/lib" STORAGE "/volatile-containers.json",
		"run" STORAGE "/containers.json", "run" STORAGE "/volatile-containers.json",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct container_names *names = new_node(0);

		put(lists[i], "[{\"id\":\"" A "\",\"names\":[\"db\"]},{\"id\":\"" B "\",\"names\":[\"web\"]}]");
		/* The lists are for what podman has a file of, whatever the path says. */
		expect(container_names_find(names, "/libpod_parent/libpod-" A, SECOND), "", "", "", "podman", "");
		put("var/lib" STORAGE "/" A "/userdata/config.json",
		    "{\"annotations\":{\"io.container.manager\":\"libpod\"}}");
		expect(container_names_find(names, "/libpod_parent/libpod-" A, 10 * SECOND), "db", "", "", "podman",
		       "");
		container_names_free(names);
	}
}

static void a_pods_folder_names_the_pod_alone(void **state)
{
	struct container_names *names = new_node(0);

	(void)state;
	assert_true(files_run("mkdir -p var/log/pods/shop_web-0_" UID " var/log/pods/shop_web-1_x"));
	expect(container_names_find(names, POD_PATH, SECOND), "", "web-0", "shop", "", "");
	expect(container_names_find(names, "/" B, SECOND), "", "", "", "", "");
	put_link("web-0_shop_app-" A ".log");
	expect(container_names_find(names, POD_PATH, 10 * SECOND), "app", "web-0", "shop", "", "");
	container_names_free(names);
}

static void that_there_is_no_name_is_believed_for_longer_each_time(void **state)
{
	struct container_names *names = new_node(0);
	const struct container_info *info = container_names_find(names, POD_PATH, SECOND);

	(void)state;
	expect(info, "", "", "", "", "");
	assert_string_equal(info->id, A);
	assert_string_equal(info->pod_uid, UID);
	put_link("web-0_shop_app-" A ".log");
	expect(container_names_find(names, POD_PATH, 6 * SECOND - 1), "", "", "", "", "");
	expect(container_names_find(names, POD_PATH, 6 * SECOND), "app", "web-0", "shop", "", "");
	expect(container_names_find(names, "/" B, 10 * SECOND), "", "", "", "", "");
	expect(container_names_find(names, "/" B, 15 * SECOND), "", "", "", "", "");
	put_link("web-1_shop_app-" B ".log");
	expect(container_names_find(names, "/" B, 25 * SECOND - 1), "", "", "", "", "");
	expect(container_names_find(names, "/" B, 25 * SECOND), "app", "web-1", "shop", "", "");
	container_names_free(names);
}

static void links_are_read_once_a_second_at_most(void **state)
{
	struct container_names *names = new_node(0);

	(void)state;
	container_names_find(names, "/" B, SECOND);
	put_link("web-0_shop_app-" A ".log");
	expect(container_names_find(names, "/" A, 2 * SECOND - 1), "", "", "", "", "");
	expect(container_names_find(names, "/" A, 7 * SECOND), "app", "web-0", "shop", "", "");
	container_names_free(names);
}

/* The path of container @number, named c@number. */
static void whoever_cannot_wait_has_files_looked_at_again(void **state)
{
	struct container_names *names = new_node(0);

	(void)state;
	expect(container_names_find(names, "/" A, SECOND), "", "", "", "", "");
	put_link("web-0_shop_app-" A ".log");
	expect(container_names_find(names, "/" A, SECOND + 1), "", "", "", "", "");
	container_names_retry(names);
	expect(container_names_find(names, "/" A, SECOND + 2), "app", "web-0", "shop", "", "");
	container_names_free(names);
}

static const char *numbered(unsigned int number)
{
	static char path[80];

	snprintf(path, sizeof(path), "/docker/%064x", number);
	return path;
}

static void put_numbered(unsigned int number)
{
	char path[160], text[64];

	snprintf(path, sizeof(path), "var/lib/docker/containers/%064x/config.v2.json", number);
	snprintf(text, sizeof(text), "{\"Name\":\"/c%u\"}", number);
	put(path, text);
}

static void the_least_recently_asked_for_is_forgotten_first(void **state)
{
	struct container_names *names = new_node(3);

	(void)state;
	for (unsigned int i = 1; i <= 4; i++)
		put_numbered(i);
	for (unsigned int i = 1; i <= 3; i++)
		container_names_find(names, numbered(i), SECOND);
	expect(container_names_find(names, numbered(1), SECOND), "c1", "", "", "docker", "");
	expect(container_names_find(names, numbered(4), SECOND), "c4", "", "", "docker", "");
	assert_true(files_run("rm -r var"));
	expect(container_names_find(names, numbered(2), SECOND), "", "", "", "docker", "");
	expect(container_names_find(names, numbered(1), SECOND), "c1", "", "", "docker", "");
	expect(container_names_find(names, numbered(3), SECOND), "c3", "", "", "docker", "");
	expect(container_names_find(names, numbered(4), SECOND), "c4", "", "", "docker", "");
	container_names_free(names);
}

static void a_single_place_serves_one_after_another(void **state)
{
	struct container_names *names = new_node(1);
	char name[16];

	(void)state;
	for (unsigned int i = 1; i <= 5; i++) {
		put_numbered(i);
		snprintf(name, sizeof(name), "c%u", i);
		expect(container_names_find(names, numbered(i), SECOND), name, "", "", "docker", "");
	}
	assert_true(files_run("rm -r var"));
	expect(container_names_find(names, numbered(5), SECOND), "c5", "", "", "docker", "");
	expect(container_names_find(names, numbered(4), SECOND), "", "", "", "docker", "");
	container_names_free(names);
}

static void made_up_ids_push_nothing_out(void **state)
{
	struct container_names *names = new_node(2);
	char path[160];

	(void)state;
	put_numbered(1);
	put_link("web-0_shop_app-" A ".log");
	container_names_find(names, numbered(1), SECOND);
	container_names_find(names, POD_PATH, 3 * SECOND);
	assert_true(files_run("rm -r var"));
	for (unsigned int i = 2; i < 2000; i++) {
		container_names_find(names, numbered(i), i * SECOND);
		snprintf(path, sizeof(path), "/lxc.payload.m%u", i);
		container_names_find(names, path, i * SECOND);
	}
	expect(container_names_find(names, numbered(1), SECOND), "c1", "", "", "docker", "");
	expect(container_names_find(names, POD_PATH, SECOND), "app", "web-0", "shop", "", "");
	container_names_free(names);
}

static void a_scan_pushes_nothing_out_and_a_search_does(void **state)
{
	struct container_names *names = new_node(1);

	(void)state;
	put_numbered(1);
	container_names_find(names, numbered(1), SECOND);
	put_link("web-0_shop_app-" A ".log");
	container_names_scan(names);
	assert_true(files_run("rm -r var/lib"));
	expect(container_names_find(names, numbered(1), SECOND), "c1", "", "", "docker", "");
	expect(container_names_find(names, POD_PATH, 3 * SECOND), "app", "web-0", "shop", "", "");
	expect(container_names_find(names, numbered(1), 3 * SECOND), "", "", "", "docker", "");
	container_names_free(names);
}

static void machines_are_called_by_their_paths(void **state)
{
	struct container_names *names = new_node(0);
	const struct container_info *info = container_names_find(names, "/lxc.payload.ct/init.scope", SECOND);

	(void)state;
	expect(info, "ct", "", "", "lxc", "");
	assert_string_equal(info->id, "ct");
	container_names_free(names);
}

static void no_link_leads_out_of_the_root(void **state)
{
	struct container_names *names;
	char root[192];

	(void)state;
	assert_true(files_run("rm -rf *"));
	put("outside/containers/" A "/config.v2.json", "{\"Name\":\"/out\"}");
	put("outside/log/web-0_shop_app-" B ".log", "");
	assert_true(files_run("mkdir -p node/var/lib/docker node/var/log node/data/" B));
	assert_true(files_run("ln -s ../../../../outside/containers node/var/lib/docker/containers"));
	assert_true(files_run("ln -s \"$PWD/outside/log\" node/var/log/containers"));
	snprintf(root, sizeof(root), "%s/node", files_folder);
	names = container_names_new(root, 0);
	assert_non_null(names);
	expect(container_names_find(names, "/docker/" A, SECOND), "", "", "", "docker", "");
	expect(container_names_find(names, "/" B, 3 * SECOND), "", "", "", "", "");
	/* Within the root they do lead on, and "/" is the root. */
	assert_true(files_run("rm node/var/lib/docker/containers && ln -s /data node/var/lib/docker/containers"));
	put("node/data/" B "/config.v2.json", "{\"Name\":\"/in\"}");
	expect(container_names_find(names, "/" B, 60 * SECOND), "in", "", "", "docker", "");
	container_names_free(names);
}

static void what_is_no_file_of_a_sane_size_is_not_read(void **state)
{
	struct container_names *names = new_node(0);

	(void)state;
	assert_true(files_run("mkdir -p var/lib/docker/containers/" A " var/lib/docker/containers/" B
			      "/config.v2.json && mkfifo var/lib/docker/containers/" A "/config.v2.json"));
	expect(container_names_find(names, "/" A, SECOND), "", "", "", "", ""); /* does not wait */
	expect(container_names_find(names, "/" B, SECOND), "", "", "", "", "");
	assert_true(files_run("rm -r var/lib/docker/containers/" B));
	put("var/lib/docker/containers/" B "/config.v2.json", "{\"Name\":\"/web\"}");
	assert_true(files_run("cd var/lib/docker/containers/" B " && head -c 1048562 /dev/zero | tr '\\0' ' ' "
			      ">>config.v2.json && test $(stat -c %%s config.v2.json) = 1048577"));
	expect(container_names_find(names, "/" B, 60 * SECOND), "", "", "", "", "");
	assert_true(files_run("truncate -s 1048576 var/lib/docker/containers/" B "/config.v2.json"));
	expect(container_names_find(names, "/" B, 120 * SECOND), "web", "", "", "docker", "");
	container_names_free(names);
}

static void without_a_root_there_are_no_names(void **state)
{
	(void)state;
	assert_null(container_names_new("/nowhere/at/all", 0));
	assert_int_equal(errno, ENOENT);
	assert_null(container_names_new("/dev/null", 0));
	assert_int_equal(errno, ENOTDIR);
	container_names_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_names_the_container),
		cmocka_unit_test(what_has_been_found_outlives_its_files),
		cmocka_unit_test(a_scan_takes_in_all_links_before_anybody_asks),
		cmocka_unit_test(a_bundle_adds_what_links_do_not_tell),
		cmocka_unit_test(every_runtimes_files_are_found),
		cmocka_unit_test(podmans_names_are_in_its_lists),
		cmocka_unit_test(a_pods_folder_names_the_pod_alone),
		cmocka_unit_test(that_there_is_no_name_is_believed_for_longer_each_time),
		cmocka_unit_test(links_are_read_once_a_second_at_most),
		cmocka_unit_test(whoever_cannot_wait_has_files_looked_at_again),
		cmocka_unit_test(the_least_recently_asked_for_is_forgotten_first),
		cmocka_unit_test(a_single_place_serves_one_after_another),
		cmocka_unit_test(made_up_ids_push_nothing_out),
		cmocka_unit_test(a_scan_pushes_nothing_out_and_a_search_does),
		cmocka_unit_test(machines_are_called_by_their_paths),
		cmocka_unit_test(no_link_leads_out_of_the_root),
		cmocka_unit_test(what_is_no_file_of_a_sane_size_is_not_read),
		cmocka_unit_test(without_a_root_there_are_no_names),
	};

	return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
