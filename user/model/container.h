/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container, as the node's own files tell of it. What is not known is "". Strings are what the runtime
 * wrote: any bytes but NUL. One that does not fit is not known, rather than cut.
 */
#ifndef HB_MODEL_CONTAINER_H
#define HB_MODEL_CONTAINER_H

struct container_info {
	char id[65];        /* 64 hex digits; of a machine (lxc, nspawn), its name */
	char runtime[16];   /* "containerd", "cri-o", "docker", "podman", "lxc", ... */
	char name[254];     /* of the container within its pod; "POD": the one that only holds the pod's namespaces */
	char pod[254];      /* DNS subdomain: 253 characters */
	char namespace[64]; /* DNS label: 63 characters */
	char pod_uid[40];   /* 36 characters; of a static pod, 32 hex digits */
	char image[256];    /* as it was asked for */
};

/* "web/app", "app", "0123456789ab": pod and name, or what is known of them. Returns @out. */
#define CONTAINER_TITLE_BYTES 512
char *container_title(const struct container_info *container, char out[CONTAINER_TITLE_BYTES]);

#endif
