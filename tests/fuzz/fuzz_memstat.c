// SPDX-License-Identifier: Apache-2.0
/* Any bytes as memory.stat of both versions, as meminfo, as memory.pressure, and as a list of nodes and one of them. */
#include <stdlib.h>
#include <string.h>

#include "../../user/remote/memstat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct memstat first, second;
	struct memstat_pressure pressure;
	struct memstat_host host;
	uint64_t nodes[MEMSTAT_NODE_WORDS], any = 0, unused;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	memset(&first, 0xff, sizeof(first));
	second = first;
	memstat_parse(&first, true, text);
	if (first.usage_bytes != MEMSTAT_UNKNOWN || first.kernel_bytes != MEMSTAT_UNKNOWN ||
	    first.sock_bytes != MEMSTAT_UNKNOWN)
		abort();
	memstat_parse(&second, false, text);
	if (second.usage_bytes != MEMSTAT_UNKNOWN)
		abort();
	/* What is known once stays. */
	first = second;
	memstat_parse(&second, false, text);
	if (memcmp(&first, &second, sizeof(first)))
		abort();
	memstat_parse_host(&host, text);
	if ((host.total_bytes != MEMSTAT_UNKNOWN && host.total_bytes % 1024) ||
	    (host.swap_free_bytes != MEMSTAT_UNKNOWN && host.swap_free_bytes % 1024))
		abort();
	memstat_parse_pressure(&pressure, text);
	if ((pressure.some_10s != MEMSTAT_UNKNOWN && pressure.some_10s > 10000) ||
	    (pressure.full_60s != MEMSTAT_UNKNOWN && pressure.full_60s > 10000))
		abort();
	memstat_parse_huge(text);
	unused = memstat_parse_node(text);
	if (unused != MEMSTAT_UNKNOWN && unused % 1024)
		abort();
	if (memstat_parse_nodes(nodes, text)) {
		for (size_t i = 0; i < MEMSTAT_NODE_WORDS; i++)
			any |= nodes[i];
		if (!any)
			abort();
	}
	free(text);
	return 0;
}
