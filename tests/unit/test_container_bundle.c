// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../user/remote/container_bundle.h"

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "11111111-2222-3333-4444-555555555555"
#define HASH "00112233445566778899aabbccddeeff"

/* Of container A in the pod @pod_uid. */
static int read_bundle(enum container_bundle kind, const char *text, const char *pod_uid, struct container_info *info)
{
	*info = (struct container_info){ .id = A };
	strcpy(info->pod_uid, pod_uid);
	return container_bundle_parse(kind, text, strlen(text), info);
}

static void expect_info(const struct container_info *info, const char *name, const char *pod, const char *namespace,
			const char *pod_uid, const char *image, const char *runtime)
{
	assert_string_equal(info->name, name);
	assert_string_equal(info->pod, pod);
	assert_string_equal(info->namespace, namespace);
	assert_string_equal(info->pod_uid, pod_uid);
	assert_string_equal(info->image, image);
	assert_string_equal(info->runtime, runtime);
}

static void annotations_of_each_runtime_are_read(void **state)
{
	struct container_info info;

	(void)state;
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_OCI,
				     "{\"ociVersion\":\"1.0.2\",\"annotations\":{"
				     "\"io.kubernetes.cri.container-name\":\"app\","
				     "\"io.kubernetes.cri.container-type\":\"container\","
				     "\"io.kubernetes.cri.sandbox-name\":\"web-0\","
				     "\"io.kubernetes.cri.sandbox-namespace\":\"shop\","
				     "\"io.kubernetes.cri.sandbox-uid\":\"" UID "\","
				     "\"io.kubernetes.cri.image-name\":\"shop/app:1\"}}\n",
				     UID, &info), 0);
	expect_info(&info, "app", "web-0", "shop", UID, "shop/app:1", "");
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_OCI,
				     "{\"annotations\":{\"io.kubernetes.cri.container-type\":\"sandbox\","
				     "\"io.kubernetes.cri.sandbox-name\":\"web-0\","
				     "\"io.kubernetes.cri.sandbox-namespace\":\"shop\"}}", "", &info), 0);
	expect_info(&info, "POD", "web-0", "shop", "", "", "");
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_OCI,
				     "{\"annotations\":{\"io.kubernetes.pod.name\":\"web-0\","
				     "\"io.kubernetes.pod.namespace\":\"shop\",\"io.kubernetes.pod.uid\":\"" UID "\","
				     "\"io.kubernetes.container.name\":\"app\",\"io.container.manager\":\"cri-o\","
				     "\"io.kubernetes.cri-o.ImageName\":\"app:1\"}}", "", &info), 0);
	expect_info(&info, "app", "web-0", "shop", UID, "app:1", "cri-o");
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_OCI, "{\"annotations\":{\"nerdctl/name\":\"web\"}}", "", &info),
			 0);
	expect_info(&info, "web", "", "", "", "", "");
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_OCI, "{\"annotations\":{\"io.container.manager\":\"libpod\"}}",
				     "", &info), 0);
	expect_info(&info, "", "", "", "", "", "podman");
}

static void dockers_labels_count_only_for_the_paths_pod(void **state)
{
	static const char text[] = "{\"ID\":\"" A "\",\"Name\":\"/web\","
				   "\"Config\":{\"Image\":\"shop/app:1\",\"Labels\":{"
				   "\"io.kubernetes.pod.name\":\"web-0\",\"io.kubernetes.pod.namespace\":\"shop\","
				   "\"io.kubernetes.container.name\":\"app\",\"io.kubernetes.pod.uid\":\"" UID "\"}}}";
	struct container_info info;

	(void)state;
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_DOCKER, text, UID, &info), 0);
	expect_info(&info, "app", "web-0", "shop", UID, "shop/app:1", "");
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_DOCKER, text, "", &info), 0);
	expect_info(&info, "web", "", "", "", "shop/app:1", "");
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_DOCKER, text, HASH, &info), 0);
	expect_info(&info, "web", "", "", HASH, "shop/app:1", "");
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_DOCKER, "{\"ID\":\"" B "\",\"Name\":\"/web\"}", "", &info),
			 -ENOENT);
}

static void annotations_of_another_pod_do_not_count(void **state)
{
	struct container_info info;

	(void)state;
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_OCI,
				     "{\"annotations\":{\"io.kubernetes.pod.name\":\"web-0\","
				     "\"io.kubernetes.pod.uid\":\"" HASH "\"}}", UID, &info), -ENOENT);
	expect_info(&info, "", "", "", UID, "", "");
}

static void podmans_list_has_names_and_images(void **state)
{
	static const char text[] = "[{\"id\":\"" B "\",\"names\":[\"other\"]},7,"
				   "{\"id\":\"" A "\",\"names\":[\"db\",\"alias\"],"
				   "\"metadata\":\"{\\\"image-name\\\":\\\"docker.io/db:2\\\"}\"}]";
	struct container_info info;

	(void)state;
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_LIST, text, "", &info), 0);
	expect_info(&info, "db", "", "", "", "docker.io/db:2", "");
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_LIST, "[{\"id\":\"" B "\",\"names\":[\"other\"]}]", "", &info),
			 -ENOENT);
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_LIST, "[{\"id\":\"" A "\",\"names\":[],\"metadata\":\"[\"}]", "",
				     &info), -ENOENT);
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_LIST, "{\"id\":\"" A "\",\"names\":[\"db\"]}", "", &info),
			 -ENOENT);
}

static void what_is_known_is_not_replaced(void **state)
{
	static const char text[] = "{\"Name\":\"/new\",\"Config\":{\"Image\":\"new\"}}";
	struct container_info info = { .id = A, .name = "old" };

	(void)state;
	assert_int_equal(container_bundle_parse(CONTAINER_BUNDLE_DOCKER, text, strlen(text), &info), 0);
	expect_info(&info, "old", "", "", "", "new", "");
	assert_int_equal(container_bundle_parse(CONTAINER_BUNDLE_DOCKER, text, strlen(text), &info), -ENOENT);
}

static void what_does_not_fit_is_not_known(void **state)
{
	char text[600];
	struct container_info info;

	(void)state;
	snprintf(text, sizeof(text), "{\"Name\":\"/%0253d\",\"Config\":{\"Image\":\"%0255d\"}}", 0, 0);
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_DOCKER, text, "", &info), 0);
	assert_int_equal(strlen(info.name), 253);
	assert_int_equal(strlen(info.image), 255);
	snprintf(text, sizeof(text), "{\"Name\":\"/%0254d\",\"Config\":{\"Image\":\"%0256d\"}}", 0, 0);
	assert_int_equal(read_bundle(CONTAINER_BUNDLE_DOCKER, text, "", &info), -ENOENT);
	expect_info(&info, "", "", "", "", "", "");
}

static void files_of_another_shape_say_nothing(void **state)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{ "", -EINVAL }, { "{", -EINVAL }, { "null", -EINVAL }, { "{\"Name\":\"/a\"} x", -EINVAL },
		{ "{'Name':'/a'}", -EINVAL }, { "{}", -ENOENT }, { "[]", -ENOENT }, { "\"Name\"", -ENOENT },
		{ "{\"Name\":7,\"Config\":[],\"annotations\":\"x\"}", -ENOENT },
		{ "{\"Name\":\"/\",\"Config\":{\"Image\":{},\"Labels\":[1]},\"annotations\":{\"nerdctl/name\":[]}}",
		  -ENOENT },
		{ "{\"Name\":\"a\\u0000b\"}", -ENOENT },
	};
	struct container_info info;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int kind = CONTAINER_BUNDLE_OCI; kind <= CONTAINER_BUNDLE_LIST; kind++) {
			assert_int_equal(read_bundle((enum container_bundle)kind, rows[i].text, "", &info),
					 rows[i].err);
			expect_info(&info, "", "", "", "", "", "");
		}
	}
}

/* @head, then @unit so many times, then @tail, as Docker's file. */
static int read_repeated(const char *head, const char *unit, size_t times, const char *tail)
{
	size_t length = strlen(head) + times * strlen(unit) + strlen(tail);
	struct container_info info = { .id = A };
	char *text = malloc(length + 1), *at = text;
	int err;

	assert_non_null(text);
	at = stpcpy(at, head);
	while (times--)
		at = stpcpy(at, unit);
	strcpy(at, tail);
	err = container_bundle_parse(CONTAINER_BUNDLE_DOCKER, text, length, &info);
	free(text);
	return err;
}

static void size_depth_and_values_are_bounded(void **state)
{
	(void)state;
	/* 22 bytes around the commas: 1 MiB in all, and a byte more */
	assert_int_equal(read_repeated("{\"Name\":\"/web\",\"x\":\"", ",", (1u << 20) - 22, "\"}"), 0);
	assert_int_equal(read_repeated("{\"Name\":\"/web\",\"x\":\"", ",", (1u << 20) - 21, "\"}"), -E2BIG);
	/* the first, '{', ',' and '[': with the commas 32,768, and one more */
	assert_int_equal(read_repeated("{\"Name\":\"/web\",\"x\":[1", ",1", (1u << 15) - 4, "]}"), 0);
	assert_int_equal(read_repeated("{\"Name\":\"/web\",\"x\":[1", ",1", (1u << 15) - 3, "]}"), -E2BIG);
	/* what stands in a string is no value, though a quote be in it too */
	assert_int_equal(read_repeated("{\"Name\":\"/web\",\"x\":\"\\\"", ",", 1u << 15, "\"}"), 0);
	assert_int_equal(read_repeated("", "[", 30000, ""), -EINVAL);
	assert_int_equal(read_repeated("{\"Name\":\"/web\",\"x\":[[[[[[[[[[[[[1]]]]]]]]]]]]]}", "", 0, ""), 0);
	assert_int_equal(read_repeated("{\"Name\":\"/web\",\"x\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", "", 0, ""),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(annotations_of_each_runtime_are_read),
		cmocka_unit_test(dockers_labels_count_only_for_the_paths_pod),
		cmocka_unit_test(annotations_of_another_pod_do_not_count),
		cmocka_unit_test(podmans_list_has_names_and_images),
		cmocka_unit_test(what_is_known_is_not_replaced),
		cmocka_unit_test(what_does_not_fit_is_not_known),
		cmocka_unit_test(files_of_another_shape_say_nothing),
		cmocka_unit_test(size_depth_and_values_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
