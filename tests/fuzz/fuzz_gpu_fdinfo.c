// SPDX-License-Identifier: Apache-2.0
/*
 * fdinfo is written by drivers, of which there are many and some not of this kernel. The bytes are
 * several files, one reading after the other; whatever they say, time never goes back.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/clients.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENTS_MAX 4

/* What the same client had the time before; the index of a client does not change in a round. */
struct before {
	uint64_t ns[GPU_ENGINES];
};

static void check_info(const struct fdinfo *info)
{
	if (!*info->driver || memchr(info->driver, '\0', sizeof(info->driver)) == NULL ||
	    info->nr_engines > FDINFO_ENGINES_MAX || info->nr_regions > FDINFO_REGIONS_MAX)
		abort();
	for (size_t i = 0; i < info->nr_engines; i++)
		if (!*info->engine[i].name || !info->engine[i].capacity)
			abort();
	for (size_t i = 0; i < info->nr_regions; i++)
		if (!*info->region[i].name || !info->region[i].known)
			abort();
}

static void check_clients(const struct gpu_clients *clients, struct before *before)
{
	if (gpu_clients_nr(clients) > CLIENTS_MAX)
		abort();
	for (size_t i = 0; i < gpu_clients_nr(clients); i++) {
		const struct gpu_client *client = gpu_clients_get(clients, i);

		for (int engine = 0; engine < GPU_ENGINES; engine++) {
			const struct gpu_busy *busy = &client->busy[engine];

			if (busy->ns < before[i].ns[engine] || (!busy->known && busy->ns))
				abort();
			before[i].ns[engine] = busy->ns;
		}
		for (int memory = 0; memory < GPU_MEMORIES; memory++)
			if (!client->memory[memory].known && client->memory[memory].bytes)
				abort();
	}
}

/* Up to the next NUL; a copy of its own size, so that a read behind the end is noticed. */
static void take_file(struct gpu_clients *clients, const uint8_t *data, size_t bytes, uint64_t now)
{
	char *text = malloc(bytes ? bytes : 1);
	struct fdinfo info;

	if (!text)
		return;
	memcpy(text, data, bytes);
	if (!fdinfo_parse((struct span){text, bytes}, &info)) {
		check_info(&info);
		gpu_clients_take(clients, "card", (pid_t)now, &info, now * 1000000000);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct before before[CLIENTS_MAX] = {0};
	struct gpu_clients *clients;

	if (gpu_clients_new(CLIENTS_MAX, &clients))
		return 0;
	for (uint64_t now = 1; size; now++) {
		const uint8_t *end = memchr(data, '\0', size);
		size_t bytes = end ? (size_t)(end - data) : size;

		take_file(clients, data, bytes, now);
		check_clients(clients, before);
		data += bytes + !!end;
		size -= bytes + !!end;
	}
	gpu_clients_end_round(clients);
	gpu_clients_end_round(clients);
	if (gpu_clients_nr(clients))
		abort();
	gpu_clients_free(clients);
	return 0;
}
