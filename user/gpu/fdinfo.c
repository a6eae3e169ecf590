// SPDX-License-Identifier: Apache-2.0
/* fdinfo of DRM files. A key that nobody agreed on is passed over; a known one must be exact. */
#include <errno.h>
#include <string.h>

#include "gpu/fdinfo.h"

/* What the numbers of a key are in. */
enum unit {
	UNIT_NONE,
	UNIT_NS,
	UNIT_BYTES,
	UNIT_HZ,
};

static const struct {
	const char *name;
	enum unit of;
	uint64_t factor;
} units[] = {
	{"ns", UNIT_NS, 1},	      {"KiB", UNIT_BYTES, 1 << 10}, {"MiB", UNIT_BYTES, 1 << 20},
	{"GiB", UNIT_BYTES, 1 << 30}, {"Hz", UNIT_HZ, 1},	    {"KHz", UNIT_HZ, 1000},
	{"MHz", UNIT_HZ, 1000000},
};

static bool find_factor(struct span name, enum unit of, uint64_t *factor)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].of == of && span_is(name, units[i].name)) {
			*factor = units[i].factor;
			return true;
		}
	return false;
}

/* "12 KiB". Bytes, hertz and numbers that only count need no unit; time does. */
static bool read_amount(struct span text, enum unit unit, uint64_t *amount)
{
	struct span number, name, more;
	uint64_t factor = 1, value;

	if (!span_word(&text, &number) || !span_number(number, &value))
		return false;
	if (span_word(&text, &name)) {
		if (!find_factor(name, unit, &factor) || span_word(&text, &more))
			return false;
	} else if (unit == UNIT_NS) {
		return false;
	}
	if (value > UINT64_MAX / factor)
		return false;
	*amount = value * factor;
	return true;
}

/* The keys of engines. The first that a key begins with counts, so the longer ones come first. */
static const struct engine_key {
	const char *prefix;
	uint32_t bit;
	enum unit unit;
	size_t field;
} engine_keys[] = {
	{"engine-capacity-", FDINFO_CAPACITY, UNIT_NONE, 0},
	{"engine-", FDINFO_BUSY, UNIT_NS, offsetof(struct fdinfo_engine, busy_ns)},
	{"cycles-", FDINFO_CYCLES, UNIT_NONE, offsetof(struct fdinfo_engine, cycles)},
	{"total-cycles-", FDINFO_TOTAL_CYCLES, UNIT_NONE,
	 offsetof(struct fdinfo_engine, total_cycles)},
	{"maxfreq-", FDINFO_MAX_FREQUENCY, UNIT_HZ,
	 offsetof(struct fdinfo_engine, max_frequency_hz)},
};

static const struct region_key {
	const char *prefix;
	uint32_t bit;
	size_t field;
} region_keys[] = {
	{"total-", FDINFO_TOTAL, offsetof(struct fdinfo_region, total)},
	{"shared-", FDINFO_SHARED, offsetof(struct fdinfo_region, shared)},
	{"resident-", FDINFO_RESIDENT, offsetof(struct fdinfo_region, resident)},
	{"purgeable-", FDINFO_PURGEABLE, offsetof(struct fdinfo_region, purgeable)},
	{"active-", FDINFO_ACTIVE, offsetof(struct fdinfo_region, active)},
	{"memory-", FDINFO_MEMORY, offsetof(struct fdinfo_region, memory)},
};

/* A short word that names an engine or a region. */
static bool read_name(struct span span, char name[FDINFO_NAME_BYTES])
{
	return span.bytes && span_copy(span, name, FDINFO_NAME_BYTES) && !strchr(name, ' ');
}

static struct fdinfo_engine *get_engine(struct fdinfo *info, struct span span)
{
	char name[FDINFO_NAME_BYTES];
	struct fdinfo_engine *engine;

	if (!read_name(span, name))
		return NULL;
	for (size_t i = 0; i < info->nr_engines; i++)
		if (!strcmp(info->engine[i].name, name))
			return &info->engine[i];
	if (info->nr_engines == FDINFO_ENGINES_MAX)
		return NULL;
	engine = &info->engine[info->nr_engines++];
	memcpy(engine->name, name, sizeof(name));
	engine->capacity = 1;
	return engine;
}

static struct fdinfo_region *get_region(struct fdinfo *info, struct span span)
{
	char name[FDINFO_NAME_BYTES];
	struct fdinfo_region *region;

	if (!read_name(span, name))
		return NULL;
	for (size_t i = 0; i < info->nr_regions; i++)
		if (!strcmp(info->region[i].name, name))
			return &info->region[i];
	if (info->nr_regions == FDINFO_REGIONS_MAX)
		return NULL;
	region = &info->region[info->nr_regions++];
	memcpy(region->name, name, sizeof(name));
	return region;
}

static bool take_engine(struct fdinfo *info, const struct engine_key *key, struct span name,
			struct span value)
{
	struct fdinfo_engine *engine;
	uint64_t amount;

	if (!read_amount(value, key->unit, &amount))
		return false;
	if (key->bit == FDINFO_CAPACITY && (!amount || amount > UINT16_MAX))
		return false;
	engine = get_engine(info, name);
	if (!engine || engine->known & key->bit)
		return false;
	engine->known |= key->bit;
	if (key->bit == FDINFO_CAPACITY)
		engine->capacity = (uint32_t)amount;
	else
		memcpy((char *)engine + key->field, &amount, sizeof(amount));
	return true;
}

static bool take_region(struct fdinfo *info, const struct region_key *key, struct span name,
			struct span value)
{
	struct fdinfo_region *region;
	uint64_t amount;

	if (!read_amount(value, UNIT_BYTES, &amount))
		return false;
	region = get_region(info, name);
	if (!region || region->known & key->bit)
		return false;
	region->known |= key->bit;
	memcpy((char *)region + key->field, &amount, sizeof(amount));
	return true;
}

/* A number of an engine or a region; false if it cannot be used. */
static bool take_number(struct fdinfo *info, struct span key, struct span value)
{
	for (size_t i = 0; i < sizeof(engine_keys) / sizeof(engine_keys[0]); i++)
		if (span_after(&key, engine_keys[i].prefix))
			return take_engine(info, &engine_keys[i], key, value);
	for (size_t i = 0; i < sizeof(region_keys) / sizeof(region_keys[0]); i++)
		if (span_after(&key, region_keys[i].prefix))
			return take_region(info, &region_keys[i], key, value);
	return true;
}

/* True if the key says whose the file is; `good` is false if that cannot be believed. */
static bool take_identity(struct fdinfo *info, struct span key, struct span value, bool *good)
{
	if (span_is(key, "driver")) {
		*good = !*info->driver && value.bytes &&
			span_copy(value, info->driver, sizeof(info->driver));
	} else if (span_is(key, "pdev")) {
		*good = !*info->pci && pci_read(value, info->pci);
	} else if (span_is(key, "client-id")) {
		*good = !info->has_client && span_number(value, &info->client);
		info->has_client = *good;
	} else {
		return false;
	}
	return true;
}

int fdinfo_parse(struct span text, struct fdinfo *info)
{
	struct span key, value;
	bool good = true;

	memset(info, 0, sizeof(*info));
	while (good && span_line(&text, ':', &key, &value)) {
		if (!span_after(&key, "drm-") || take_identity(info, key, value, &good))
			continue;
		if (!take_number(info, key, value))
			info->skipped++;
	}
	if (!good)
		return -EINVAL;
	return *info->driver ? 0 : -ENODATA;
}
