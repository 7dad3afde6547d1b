// SPDX-License-Identifier: Apache-2.0
/* Any bytes as each of the runtimes' files, of a container in a pod and of one in none. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../user/remote/container_bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ID  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "11111111-2222-3333-4444-555555555555"

static void expect_end(const char *text, size_t size)
{
	if (!memchr(text, 0, size))
		abort();
}

static void try_bundle(const char *text, size_t size, const char *pod_uid)
{
	for (int kind = CONTAINER_BUNDLE_OCI; kind <= CONTAINER_BUNDLE_LIST; kind++) {
		struct container_info info = { .id = ID }, before;
		int err;

		strcpy(info.pod_uid, pod_uid);
		before = info;
		err = container_bundle_parse((enum container_bundle)kind, text, size, &info);
		if (err && (err > 0 || memcmp(&info, &before, sizeof(info)) != 0))
			abort();
		expect_end(info.name, sizeof(info.name));
		expect_end(info.pod, sizeof(info.pod));
		expect_end(info.namespace, sizeof(info.namespace));
		expect_end(info.pod_uid, sizeof(info.pod_uid));
		expect_end(info.image, sizeof(info.image));
		expect_end(info.runtime, sizeof(info.runtime));
		if (strcmp(info.id, ID) != 0 || (pod_uid[0] && strcmp(info.pod_uid, pod_uid) != 0))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = malloc(size ? size : 1); /* no NUL behind them */

	if (!bytes)
		abort();
	memcpy(bytes, data, size);
	try_bundle(bytes, size, "");
	try_bundle(bytes, size, UID);
	free(bytes);
	return 0;
}
