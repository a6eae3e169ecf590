// SPDX-License-Identifier: Apache-2.0
/* Clients of DRM devices: found again by device and number, their engines by name. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/idmap.h"
#include "gpu/clients.h"
#include "gpu/tree.h"

__extension__ typedef unsigned __int128 u128;

/* Engines of one name, between two readings. */
struct engine {
	char name[FDINFO_NAME_BYTES];
	enum gpu_engine class_;
	uint32_t capacity;
	bool timed; /* there is a time: the driver's own, or two readings of cycles */
	uint64_t busy_ns;
	bool counted; /* cycles were read before */
	uint64_t cycles, total_cycles, counted_ns;
};

struct record {
	struct gpu_client client;
	uint64_t key;
	/* Of this round. */
	bool new_, owner_seen;
	pid_t lowest, last;
	uint32_t holders;
	size_t nr_engines;
	struct engine engine[FDINFO_ENGINES_MAX];
};

struct gpu_clients {
	struct record **records;
	size_t nr, capacity, most;
	struct idmap by_key; /* to the index of the record */
	struct gpu_clients_counts counts;
	struct buf text;
};

int gpu_clients_new(size_t most, struct gpu_clients **clients)
{
	struct gpu_clients *made = calloc(1, sizeof(*made));

	if (!made)
		return -ENOMEM;
	made->most = most && most < INT32_MAX ? most : GPU_CLIENTS_DEFAULT_MOST;
	*clients = made;
	return 0;
}

void gpu_clients_free(struct gpu_clients *clients)
{
	if (!clients)
		return;
	for (size_t i = 0; i < clients->nr; i++)
		free(clients->records[i]);
	free(clients->records);
	idmap_free(&clients->by_key);
	buf_free(&clients->text);
	free(clients);
}

static bool is_client(const struct gpu_client *client, const char *device, const char *driver,
		      uint64_t id)
{
	return client->id == id && !strcmp(client->device, device) &&
	       !strcmp(client->driver, driver);
}

static uint64_t key_of(const char *device, const char *driver, uint64_t id)
{
	return hash_text(hash_text(HASH_EMPTY, device), driver) + id * UINT64_C(0x9E3779B97F4A7C15);
}

static int make_room(struct gpu_clients *clients)
{
	size_t capacity = clients->capacity ? clients->capacity * 2 : 64;
	struct record **more;

	if (clients->nr < clients->capacity)
		return 0;
	more = reallocarray(clients->records, capacity, sizeof(struct record *));
	if (!more)
		return -ENOMEM;
	clients->records = more;
	clients->capacity = capacity;
	return 0;
}

static int add_record(struct gpu_clients *clients, uint64_t key, const char *device,
		      const struct fdinfo *info, struct record **record)
{
	struct record *made;

	if (clients->nr == clients->most || strlen(device) >= sizeof(made->client.device))
		return -ENOSPC;
	if (make_room(clients))
		return -ENOMEM;
	made = calloc(1, sizeof(*made));
	if (!made || idmap_put(&clients->by_key, key, (uint32_t)clients->nr)) {
		free(made);
		return -ENOMEM;
	}
	snprintf(made->client.device, sizeof(made->client.device), "%s", device);
	snprintf(made->client.driver, sizeof(made->client.driver), "%s", info->driver);
	made->client.id = info->client;
	made->new_ = true;
	made->key = key;
	clients->records[clients->nr++] = made;
	*record = made;
	return 0;
}

/* Two clients that want one key, which all but never happens, are one too many. */
static int get_record(struct gpu_clients *clients, const char *device, const struct fdinfo *info,
		      struct record **record)
{
	uint64_t key = key_of(device, info->driver, info->client);
	uint32_t index;

	if (!idmap_get(&clients->by_key, key, &index))
		return add_record(clients, key, device, info, record);
	*record = clients->records[index];
	return is_client(&(*record)->client, device, info->driver, info->client) ? 0 : -ENOSPC;
}

static void take_holder(struct record *record, pid_t tgid)
{
	struct gpu_client *client = &record->client;

	if (tgid != record->last)
		record->holders++;
	record->last = tgid;
	if (!record->lowest || tgid < record->lowest)
		record->lowest = tgid;
	if (record->new_) {
		client->tgid = record->lowest;
		client->holders = record->holders;
	}
	record->owner_seen |= tgid == client->tgid;
}

static struct engine *get_engine(struct record *record, const struct fdinfo_engine *read)
{
	struct engine *engine;

	for (size_t i = 0; i < record->nr_engines; i++)
		if (!strcmp(record->engine[i].name, read->name))
			return &record->engine[i];
	if (record->nr_engines == FDINFO_ENGINES_MAX)
		return NULL;
	engine = &record->engine[record->nr_engines++];
	memcpy(engine->name, read->name, sizeof(engine->name));
	engine->class_ = gpu_engine_class(record->client.driver, read->name);
	return engine;
}

static void begin_cycles(struct engine *engine, const struct fdinfo_engine *read, uint64_t now_ns)
{
	engine->timed = engine->counted = true;
	engine->cycles = read->cycles;
	engine->total_cycles = read->total_cycles;
	engine->counted_ns = now_ns;
}

/* The engine's share of the cycles that passed is its share of the time that passed. */
static void add_cycles(struct engine *engine, const struct fdinfo_engine *read, uint64_t now_ns)
{
	uint64_t passed_ns = now_ns - engine->counted_ns;
	u128 most = (u128)passed_ns * engine->capacity;
	u128 ns = (u128)(read->cycles - engine->cycles) * passed_ns /
		  (read->total_cycles - engine->total_cycles);

	if (ns > most)
		ns = most;
	engine->busy_ns =
		ns < UINT64_MAX - engine->busy_ns ? engine->busy_ns + (uint64_t)ns : UINT64_MAX;
	begin_cycles(engine, read, now_ns);
}

/* False if the reading is lower than the one before. */
static bool take_cycles(struct engine *engine, const struct fdinfo_engine *read, uint64_t now_ns)
{
	/* The GPU's clock began again, so nothing can be said of the time between. */
	bool restarted = read->total_cycles < engine->total_cycles;

	if (!engine->counted || restarted) {
		begin_cycles(engine, read, now_ns);
		return !restarted;
	}
	/* The next reading that is higher will stand for all the time since the last one. */
	if (read->cycles < engine->cycles)
		return false;
	if (read->total_cycles > engine->total_cycles && now_ns > engine->counted_ns)
		add_cycles(engine, read, now_ns);
	return true;
}

static bool take_busy(struct engine *engine, uint64_t busy_ns)
{
	engine->timed = true;
	if (busy_ns < engine->busy_ns)
		return false;
	engine->busy_ns = busy_ns;
	return true;
}

static void take_engine(struct gpu_clients *clients, struct record *record,
			const struct fdinfo_engine *read, uint64_t now_ns)
{
	const uint32_t both = FDINFO_CYCLES | FDINFO_TOTAL_CYCLES;
	struct engine *engine = get_engine(record, read);
	bool good = true;

	if (!engine) {
		clients->counts.malformed++;
		return;
	}
	if (read->capacity > engine->capacity)
		engine->capacity = read->capacity;
	if (read->known & FDINFO_BUSY)
		good = take_busy(engine, read->busy_ns);
	else if ((read->known & both) == both)
		good = take_cycles(engine, read, now_ns);
	clients->counts.backwards += !good;
}

static void add_up_engines(struct record *record)
{
	struct gpu_busy *busy = record->client.busy;

	memset(busy, 0, sizeof(record->client.busy));
	for (size_t i = 0; i < record->nr_engines; i++) {
		const struct engine *engine = &record->engine[i];
		struct gpu_busy *sum = &busy[engine->class_];

		if (!engine->timed)
			continue;
		sum->known = true;
		sum->engines += engine->capacity;
		sum->ns = engine->busy_ns < UINT64_MAX - sum->ns ? sum->ns + engine->busy_ns
								 : UINT64_MAX;
	}
}

/* What lies there now; older drivers say so in their own way, some only what was asked for. */
static bool find_bytes(const struct fdinfo_region *region, uint64_t *bytes)
{
	*bytes = region->known & FDINFO_RESIDENT ? region->resident
		 : region->known & FDINFO_MEMORY ? region->memory
						 : region->total;
	return region->known & (FDINFO_RESIDENT | FDINFO_MEMORY | FDINFO_TOTAL);
}

static uint64_t add_bytes(uint64_t sum, uint64_t bytes)
{
	return bytes < UINT64_MAX - sum ? sum + bytes : UINT64_MAX;
}

static void take_memory(struct gpu_client *client, const struct fdinfo *info)
{
	memset(client->memory, 0, sizeof(client->memory));
	for (size_t i = 0; i < info->nr_regions; i++) {
		const struct fdinfo_region *region = &info->region[i];
		enum gpu_memory class_ = gpu_memory_class(region->name);
		struct gpu_client_memory *memory;
		uint64_t bytes;

		if (class_ == GPU_MEMORY_NONE || !find_bytes(region, &bytes))
			continue;
		memory = &client->memory[class_];
		memory->known = true;
		memory->bytes = add_bytes(memory->bytes, bytes);
		memory->shared_bytes = add_bytes(memory->shared_bytes, region->shared);
	}
}

int gpu_clients_take(struct gpu_clients *clients, const char *device, pid_t tgid,
		     const struct fdinfo *info, uint64_t now_ns)
{
	struct record *record;
	int err;

	clients->counts.malformed += info->skipped;
	if (!info->has_client) {
		clients->counts.silent++;
		return -ENODATA;
	}
	err = get_record(clients, device, info, &record);
	if (err) {
		clients->counts.dropped++;
		return err;
	}
	if (!record->client.last_ns)
		record->client.first_ns = now_ns;
	record->client.last_ns = now_ns;
	take_holder(record, tgid);
	for (size_t i = 0; i < info->nr_engines; i++)
		take_engine(clients, record, &info->engine[i], now_ns);
	add_up_engines(record);
	take_memory(&record->client, info);
	return 0;
}

/* By the time it is read the number may be that of another file. */
static bool is_of(const struct fdinfo *info, const struct gpu_device *device)
{
	return !*info->pci || !*device->pci || !strcmp(info->pci, device->pci);
}

int gpu_clients_read(struct gpu_clients *clients, int root, const struct gpu_device *device,
		     pid_t tgid, uint32_t fd, uint64_t now_ns)
{
	struct fdinfo info = {0};
	char path[64];
	int err;

	snprintf(path, sizeof(path), "proc/%d/fdinfo/%u", tgid, fd);
	err = tree_read(root, path, FDINFO_BYTES_MAX, &clients->text);
	clients->counts.files += !err;
	clients->counts.gone += err && err != -EFBIG && err != -ENOMEM;
	clients->counts.malformed += err == -EFBIG;
	if (err)
		return err;
	err = fdinfo_parse((struct span){clients->text.len ? clients->text.data : "",
					 clients->text.len},
			   &info);
	clients->counts.silent += err == -ENODATA;
	clients->counts.malformed += err == -EINVAL;
	if (err)
		return err;
	if (!is_of(&info, device)) {
		clients->counts.gone++;
		return -ENOENT;
	}
	return gpu_clients_take(clients, device->sysfs_name, tgid, &info, now_ns);
}

static void end_round(struct record *record)
{
	struct gpu_client *client = &record->client;

	if (!record->owner_seen)
		client->tgid = record->lowest;
	client->holders = record->holders;
	record->new_ = record->owner_seen = false;
	record->lowest = record->last = 0;
	record->holders = 0;
}

static void remove_record(struct gpu_clients *clients, size_t i)
{
	struct record *record = clients->records[i];

	idmap_remove(&clients->by_key, record->key);
	free(record);
	record = clients->records[--clients->nr];
	clients->records[i] = record;
	/* Its key is in the map already, and one was taken out: nothing is allocated. */
	if (i < clients->nr)
		idmap_put(&clients->by_key, record->key, (uint32_t)i);
}

size_t gpu_clients_end_round(struct gpu_clients *clients)
{
	size_t before = clients->nr;

	for (size_t i = before; i-- > 0;) {
		if (clients->records[i]->holders)
			end_round(clients->records[i]);
		else
			remove_record(clients, i);
	}
	return before - clients->nr;
}

size_t gpu_clients_nr(const struct gpu_clients *clients)
{
	return clients->nr;
}

const struct gpu_client *gpu_clients_get(const struct gpu_clients *clients, size_t i)
{
	return i < clients->nr ? &clients->records[i]->client : NULL;
}

void gpu_clients_count(const struct gpu_clients *clients, struct gpu_clients_counts *counts)
{
	*counts = clients->counts;
}
